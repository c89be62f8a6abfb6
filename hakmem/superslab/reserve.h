// Reservations: large aligned stretches of address space, cut into SuperSlabs.
//
// Behind each is a guard without access. Address space is taken in few, growing pieces and kept;
// memory is given back by purging, which leaves mappings whole. When the kernel refuses a large
// reservation, smaller ones are tried, down to what the request needs; when it refuses even that,
// the reservations that nobody uses are unmapped and it is asked once more. All functions here:
// lock:BACKEND.

#ifndef HAKMEM_RESERVE_H_
#define HAKMEM_RESERVE_H_

#include "hakmem/superslab/layout.h"

typedef struct hak_reservation {
  uintptr_t base;          // 0: unmapped, and the descriptors wait for the next reservation
  uint32_t capacity;       // const: how many descriptors there are
  uint32_t n_supers;       // const while it is mapped; at most the capacity
  uint32_t n_free;         // SuperSlabs with their bit set
  uint32_t n_prepared;     // no SuperSlab from this one on has been taken since it was mapped
  bool has_huge_pages;     // the kernel was asked for them
  bool is_leaving;         // being unmapped: a child forked meanwhile gives it up
  char* descriptors;       // const: at equal distances
  uint64_t free_supers[];  // bit set: FREE
} hak_reservation_t;

// Bytes and pages of a SuperSlab: constant once the first one has been mapped.
size_t hak_super_bytes(void);
unsigned hak_super_pages(void);

// Reads the options, the first time. Before anything else here, by everybody who asks for memory or
// for the size of a SuperSlab; takes lock BACKEND itself.
void hak_reserve_ready(void);

// How many reservations there are, and the i-th.
unsigned hak_reserve_count(void);
hak_reservation_t* hak_reserve_get(unsigned i);
hak_superslab_t* hak_reserve_super(const hak_reservation_t* reservation, uint32_t i);
uint32_t hak_reserve_index(const hak_superslab_t* super);

// Takes `n` consecutive free SuperSlabs, the first at a multiple of `align_supers` SuperSlabs,
// where transparent huge pages are asked for or where they are not; reserves more address space
// when there are none. Lowest first. NULL: out of memory.
hak_nodiscard hak_superslab_t* hak_reserve_take(uint32_t n, uint32_t align_supers, bool huge_pages);

// The same for those who can do without: unmaps nothing to have it.
hak_nodiscard hak_superslab_t* hak_reserve_try(uint32_t n, uint32_t align_supers, bool huge_pages);

// Takes the `n` SuperSlabs that begin with the one after `last`, if all of them are free.
hak_nodiscard bool hak_reserve_take_after(const hak_superslab_t* last, uint32_t n);

// Takes this one SuperSlab out of the free ones. pre: FREE.
void hak_reserve_take_this(hak_superslab_t* super);

// Gives back `n` consecutive SuperSlabs. post: FREE.
void hak_reserve_give(hak_superslab_t* first, uint32_t n);

// What became of SuperSlabs in whose place the kernel was to map something else.
//
// A kernel that refuses may have unmapped what was there, and then another thread's mapping can
// come to lie in the hole. So what is lost is never touched again, nor mapped over.
typedef enum hak_replace {
  HAK_REPLACED,  // done
  HAK_KEPT,      // refused: they are mapped, and ours
  HAK_LOST,      // refused, and they are no longer ours
} hak_replace_t;

// Replaces the memory of `n` consecutive SuperSlabs by fresh memory that the kernel can merge with
// its neighbours; KEPT: with their contents. No lock needed: the caller has them.
hak_nodiscard hak_replace_t hak_reserve_map_again(hak_superslab_t* first, uint32_t n);

// Moves what *n consecutive SuperSlabs hold to as many others, without a copy; of fewer where the
// program has split their mapping, and *n says how many. REPLACED: those at `from` are drained.
// Otherwise all is still at `from`; KEPT: what was at `to` may be gone. No lock needed: the caller
// has them. pre: those at `from` are equally displaced.
hak_nodiscard hak_replace_t hak_reserve_move(hak_superslab_t* from, hak_superslab_t* to,
                                             uint32_t* n);

// Gives `n` consecutive SuperSlabs up for good. post: LOST.
void hak_reserve_lose(hak_superslab_t* first, uint32_t n);

// Whether the kernel would grant `bytes` more, were all reservations unmapped: asks it. No lock
// held.
bool hak_reserve_is_possible(size_t bytes);

// In a forked child: derives which SuperSlabs are free from their states.
void hak_reserve_repair(void);

size_t hak_reserve_bytes(void);  // address space reserved, without what was lost; no lock needed

#endif  // HAKMEM_RESERVE_H_
