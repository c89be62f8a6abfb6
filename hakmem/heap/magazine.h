// Magazines: stacks of free blocks of one class, arrays of pointers.
//
// A pop is a load of the top, a load of the block's address and a store of the top; the block
// itself is not touched. (After Bonwick and Adams, "Magazines and Vmem", 2001; but one for each
// class, not two.) The slots of a magazine, upwards:
//
//   NULL | blocks, from bottom to below top | room, up to below limit | HAK_MAGAZINE_FULL
//
// While allocations are sampled, a slot above a block may hold a token, a NULL that belongs to that
// block (sampling.h): malloc stops there, too. A block and its token leave together. Tokens take no
// room from blocks, lest what a magazine holds depend on what is sampled: the limit moves with
// them.
//
// The two marks make both ends known from what lies at the top: malloc finds NULL in place of a
// block, free finds HAK_MAGAZINE_FULL where it wants to put one. What is returned is taken from the
// bottom, where blocks have lain longest, so that the whole window moves up through its memory; at
// the end it is moved back to the first slot, which a quarter of a capacity of slots makes rare.
//
// The top is kept apart from the rest, with those of the other classes: the fast paths use nothing
// else. Pops and pushes are the owner's; so is the rest, or that of whoever has the heap in its
// place. Figures are gathered from the atomic fields at any time.

#ifndef HAKMEM_MAGAZINE_H_
#define HAKMEM_MAGAZINE_H_

#include "hakmem/base/atomic.h"
#include "hakmem/base/base.h"
#include "hakmem/base/config.h"
#include "hakmem/platform/check.h"

#define HAK_MAGAZINE_FULL ((void*)1)

typedef _Atomic(void**) hak_magazine_top_t;  // above the last block

typedef struct hak_magazine {
  void** slots;                // the first that may hold a block; NULL: none yet
  _Atomic(void**) bottom;      // the first block's
  void** limit;                // holds HAK_MAGAZINE_FULL
  _Atomic(uint32_t) capacity;  // blocks at the very most
  _Atomic(uint32_t) tokens;    // in its slots
  void** fence;                // a slot that holds NULL for now; NULL: there is no fence
  void* fenced;                // the block whose slot that is
} hak_magazine_t;

// A slot, which idle.c may read and clear while the owner is at work.
typedef _Atomic(void*) hak_slot_t;

// Pops a block from the `index`-th stack, or NULL when it is empty. The program will write to the
// block that is next: where another thread had it, its line is fetched meanwhile, for writing.
//
// (The tops are stored with release for idle.c, which reads them with acquire. What is hidden from
// GCC saves it an instruction each: the index, or it computes the address of the top beforehand,
// where load and store can do so themselves; the block, or it moves it to the register of results.)
static inline void* hak_magazine_pop(hak_magazine_top_t* tops, size_t index) {
  void** slot = hak_load_relaxed(&tops[index]) - 1;
  void* block = hak_load_relaxed((hak_slot_t*)slot);
  hak_hide_value(block);
  if (hak_likely(block != NULL)) {
    hak_hide_value(index);
    hak_store_release(&tops[index], slot);
    hak_prefetch_write(hak_load_relaxed((hak_slot_t*)slot - 1));
  }
  return block;
}

// Pushes a block; false when there is no room, or when it is the one on top: a double free.
static inline bool hak_magazine_push(hak_magazine_top_t* tops, size_t index, void* block) {
  void** slot = hak_load_relaxed(&tops[index]);
  if (hak_unlikely(hak_peek(slot) == HAK_MAGAZINE_FULL)) return false;
  if (hak_unlikely(hak_peek(slot - 1) == block)) return false;
  hak_store_relaxed((hak_slot_t*)slot, block);
  hak_hide_value(index);
  hak_advance_release(&tops[index]);
  return true;
}

// Whether `block` is one of the few that were pushed last: a freed block, and no mistake.
static inline bool hak_magazine_has_on_top(const hak_magazine_top_t* tops, size_t index,
                                           const void* block) {
  hak_slot_t* slot = (hak_slot_t*)hak_load_relaxed((hak_magazine_top_t*)&tops[index]);
  for (unsigned i = 0; i < HAK_DOUBLE_FREE_LOOK; i++) {
    const void* below = hak_load_relaxed(--slot);
    if (below == NULL || below == block) return below == block;
  }
  return false;
}

// Slots in use, and how many of them have tokens; and the most blocks there may be.
static inline unsigned hak_magazine_count(const hak_magazine_t* magazine,
                                          const hak_magazine_top_t* top) {
  void** bottom = hak_load_relaxed(&((hak_magazine_t*)magazine)->bottom);
  return (unsigned)(hak_load_relaxed((hak_magazine_top_t*)top) - bottom);
}
static inline unsigned hak_magazine_tokens(const hak_magazine_t* magazine) {
  return hak_load_relaxed(&((hak_magazine_t*)magazine)->tokens);
}
static inline uint32_t hak_magazine_capacity(const hak_magazine_t* magazine) {
  return hak_load_relaxed(&((hak_magazine_t*)magazine)->capacity);
}

// Whether a push finds no room.
static inline bool hak_magazine_is_full(const hak_magazine_t* magazine,
                                        const hak_magazine_top_t* top) {
  return hak_load_relaxed((hak_magazine_top_t*)top) == magazine->limit;
}

// Gives it `capacity` and HAK_MAGAZINE_SLOTS(capacity) slots from `memory` on. What it held comes
// with it. pre: as much fits.
void hak_magazine_place(hak_magazine_t* magazine, hak_magazine_top_t* top, void** memory,
                        uint32_t capacity);

// Makes the `count` slots from `first` on, among its own, its contents, with room up to its
// capacity. pre: the tokens among them are those it has.
void hak_magazine_set(hak_magazine_t* magazine, hak_magazine_top_t* top, void** first,
                      unsigned count);

// Lets it find no room beyond what it holds, until it is set again.
void hak_magazine_close(hak_magazine_t* magazine, const hak_magazine_top_t* top);

// Puts a block on top, whatever the slot there holds: memory that was used before may have marks
// where there is room. pre: it is not full.
static inline void hak_magazine_put(const hak_magazine_t* magazine, hak_magazine_top_t* top,
                                    void* block) {
  void** slot = hak_load_relaxed(top);
  hak_assert(slot < magazine->limit);
  (void)magazine;
  hak_store_relaxed((hak_slot_t*)slot, block);
  hak_store_release(top, slot + 1);
}

// Puts a token on top, for the block that is there; false: there is no room for more tokens. Takes
// one off; false: there is none on top.
bool hak_magazine_put_token(hak_magazine_t* magazine, hak_magazine_top_t* top);
hak_nodiscard bool hak_magazine_take_token(hak_magazine_t* magazine, hak_magazine_top_t* top);

// The tokens among the `n` lowest slots; and how many slots the `n` lowest blocks take, with the
// token of the last. pre: it has as many.
unsigned hak_magazine_lowest_tokens(const hak_magazine_t* magazine, unsigned n);
unsigned hak_magazine_lowest_slots(const hak_magazine_t* magazine, unsigned n);

// Forgets the `n` lowest slots, `tokens` of which have tokens, and makes room for as many blocks.
void hak_magazine_drop(hak_magazine_t* magazine, hak_magazine_top_t* top, unsigned n,
                       unsigned tokens);

// ---- the fence ----
//
// Another thread may put a NULL in place of the second block from the top, while the owner goes on
// with pops and pushes: to the owner the magazine ends there. An owner that comes to it is stopped,
// and lowers it. Everything else in this file is for a magazine without a fence. When and by whom:
// idle.h.

// Puts one up, where there are two blocks at least.
void hak_magazine_raise_fence(hak_magazine_t* magazine, const hak_magazine_top_t* top);

// Takes it down, if there is one, and puts the block back, unless the owner has put another there
// meanwhile.
void hak_magazine_lower_fence(hak_magazine_t* magazine);

// Takes out what lies at the fence and below: `*first` is where the blocks begin, the last of them
// in place of the fence; tokens are among them. Returns how many slots that is; 0: there is no
// fence, or the owner has been below it. pre: the fence went up so long ago that all the owner did
// before it was seen is visible here.
unsigned hak_magazine_take_fenced(hak_magazine_t* magazine, const hak_magazine_top_t* top,
                                  void*** first);

#endif  // HAKMEM_MAGAZINE_H_
