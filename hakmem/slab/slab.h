// Slabs: runs of pages cut into blocks of one size class, and the bitmaps that say which are free.
//
// A block is, at any time, in exactly one place: live in the program or in some thread's magazine
// (both bits clear), free (its bit in free[] set), or freed by a thread that does not own the slab
// (its bit in remote[] set). Invariant, for the owner: free_count == bits set in free[].
//
// Owner: the thread heap in `owner`, or, when that is NULL, whoever holds the class's lock
// (central.h). Functions here are the owner's unless they say "any thread".
//
// Remote frees. A thread that frees blocks of another's slab (1) sets their bits in remote[], then
// (2) adds their number to remote_count. Whoever finds remote_count at 0 in step 2 must tell the
// owner (flush.h) that the slab has news; nobody else may touch the slab after step 2. The owner
// takes bits out of remote[] whenever it likes, but takes the count only when told. `uncounted` is
// the difference. When every block is free and it is 0, no remote free can be in flight (each has
// set bits that were taken, and the counts of all taken bits have arrived and been told), so the
// slab's pages may be given away. Between steps 1 and 2 a thread may take all bits of the slab,
// give the memory back, and set them again: its own step 2 is still to come, after which the owner
// looks at them again if it has met none. testing/remote_model_test.py explores every interleaving.

#ifndef HAKMEM_SLAB_H_
#define HAKMEM_SLAB_H_

#include "hakmem/base/size_class.h"
#include "hakmem/superslab/superslab.h"

struct hak_heap;

// In the place of the descriptor of the slab's first page.
typedef struct hak_slab {
  // Line 0: the owner's (of an unowned slab: whoever holds its class's lock). Figures are gathered
  // from the atomic ones at any time.
  hak_run_t run;
  uint16_t capacity;             // const while the slab lives: blocks
  _Atomic(uint16_t) free_count;  // bits set in free[]
  uint16_t scan_word;            // no word of free[] below this one has a bit set
  bool was_thin;                 // hak_slab_purge_thin has seen to it since blocks were taken
  uint32_t uncounted;            // blocks collected from remote[] less those taken off remote_count
  _Atomic(uint32_t) purged_bytes;  // given back of free blocks' memory, since any were taken
  uint16_t seen_free;              // free blocks at the last look (hak_slab_look)
  uint8_t looks;                   // in a row that found it unchanged; 0: blocks were taken since
  uint8_t seen_round;              // of the last look
  uint16_t touched;                // blocks below this one may hold memory
  struct hak_slab* next;           // owner: its partial or full list; unowned: the class's
  struct hak_slab* prev;
  uint64_t* free;  // const while the slab lives: blocks free and in no magazine

  // Line 1: what other threads write.
  alignas(HAK_CACHE_LINE) _Atomic(struct hak_heap*) owner;  // NULL: unowned
  _Atomic(struct hak_slab*) pending_next;                   // link in the owner's pending stack
  _Atomic(uint64_t) remote_count;  // blocks freed remotely since the owner counted
  _Atomic(uint64_t)* remote;       // const while the slab lives: their bits
} hak_slab_t;

static_assert(sizeof(hak_slab_t) == HAK_RUN_BYTES,
              "a slab takes the place of its run's descriptor");

// Doubly linked through next and prev.
typedef struct hak_slab_list {
  hak_slab_t* first;
  hak_slab_t* last;
} hak_slab_list_t;

static inline size_t hak_slab_bytes(const hak_slab_t* slab) { return hak_run_bytes(&slab->run); }

// The slab that holds the block at `address`.
static inline hak_slab_t* hak_slab_of(const void* address) {
  return (hak_slab_t*)hak_super_run_of(hak_page_map_super(address), address);
}

// The class of the block that lies at `address`, or would; 0: in none, so that it may only be a
// large block.
static inline unsigned hak_slab_class_at(const void* address) {
  unsigned entry = hak_page_map_class(address);
  if (hak_likely(entry != HAK_CLASS_SAMPLED)) return hak_class_proper(entry);
  return hak_slab_of(address)->run.size_class;
}

// Makes a run of pages, which may hold memory (dirty), a slab of `size_class`, all blocks free,
// unowned. The page map is the caller's business.
hak_slab_t* hak_slab_init(hak_run_t* run, unsigned size_class, bool dirty);

// Any thread that has a block of it to free: tells by the page map that its blocks travel between
// threads, if several share a cache line (size_class.h). It stays so while the slab lives.
void hak_slab_mark_outgoing(hak_slab_t* slab);

// Takes up to `n` free blocks, lowest addresses first, and stores them downwards from `end`
// (exclusive), so that the lowest lies on top of a magazine's stack. Returns how many.
unsigned hak_slab_take(hak_slab_t* slab, void** end, unsigned n);

// The same, but only blocks whose cache lines hold no block of anybody else, so that threads which
// share the slab do not share lines (blocks above 48 bytes: as hak_slab_take). May return 0 though
// blocks are free.
unsigned hak_slab_take_lines(hak_slab_t* slab, void** end, unsigned n);

// From the bitmap of free blocks to that of blocks freed by others, in words: half of the memory
// for the two, so that they share no line.
static inline size_t hak_slab_remote_words(unsigned size_class) {
  bool wide = hak_class_has_wide_bitmaps(size_class);
  return (wide ? HAK_WIDE_BITMAP_BYTES : HAK_BITMAP_BYTES) / (2 * sizeof(uint64_t));
}

// Fetches what `heap` will write to put blocks of a word back, of its own slab or another's,
// without a look at the line that is the owner's.
static inline void hak_slab_prefetch(hak_slab_t* slab, unsigned size_class, unsigned word,
                                     const struct hak_heap* heap) {
  _Atomic(uint64_t)* remote = slab->remote + word;
  if (hak_load_relaxed(&slab->owner) != heap) {
    hak_prefetch_write(remote);
    return;
  }
  hak_prefetch_write(slab);
  hak_prefetch_write(remote - hak_slab_remote_words(size_class));
}

// Puts blocks (bits `mask` of `word`) back. Aborts on a double free.
void hak_slab_put(hak_slab_t* slab, unsigned word, uint64_t mask);

// Holes: the stretches of OS pages that lie in free blocks only.
//
// A look, once a round at most (`round`: its number modulo 256; a purge delay lies between two).
// Returns the length in bytes from which on the slab's holes are worth a system call now; 0: none
// is. That is so where the slab is as it was at the last look: HAK_HOLE_BYTES at first, and at each
// further look that finds it so half of it, down to an OS page.
size_t hak_slab_look(hak_slab_t* slab, uint8_t round);

// Gives holes back to the kernel: those that are worth it by hak_slab_look's `least`, and were not
// at the look before; or all (0). Returns the bytes. By its owner, with no lock held, or with the
// lock of its class, of an unowned one.
size_t hak_slab_purge(hak_slab_t* slab, size_t least);

// If one block in HAK_THIN_SHARE is live, or one alone, gives back holes of HAK_HOLE_BYTES and
// more: once, until blocks are taken. Returns by how many bytes more than before are given back.
// pre: a block is live. No lock held.
size_t hak_slab_purge_thin(hak_slab_t* slab);

// Takes what other threads have freed into free[]. Returns how many blocks came.
unsigned hak_slab_collect(hak_slab_t* slab);

// Takes the count of remote frees. Only when the owner was told of the slab, see above.
void hak_slab_count_remote(hak_slab_t* slab);

// Any thread that owns neither: steps 1 and 2 above. Step 1 aborts on a double free. Step 2
// returns true when the caller must tell the owner. pre: the blocks are not free.
void hak_slab_free_remote(hak_slab_t* slab, unsigned word, uint64_t mask);
hak_nodiscard bool hak_slab_announce_remote(hak_slab_t* slab, unsigned n);

// Between the two, with `size_class` the slab's: if others have freed all of its blocks, and the
// owner has taken none of them in, gives all of its memory back. Returns the bytes.
size_t hak_slab_purge_remote(hak_slab_t* slab, unsigned size_class);

// The bitmap of what other threads freed into a slab of `size_class` that lies, or may come to lie,
// in `run`: for any thread, without a look at what the owner writes.
_Atomic(uint64_t)* hak_slab_remote_bits(hak_run_t* run, unsigned size_class);

// Blocks free in the slab, read by any thread.
static inline unsigned hak_slab_free_count(const hak_slab_t* slab) {
  return hak_load_relaxed(&((hak_slab_t*)slab)->free_count);
}

// Whether some of its blocks have never been taken, so that who takes them touches fresh memory.
static inline bool hak_slab_is_fresh(const hak_slab_t* slab) {
  return slab->touched < slab->capacity;
}

// Whether no block is live and no remote free in flight: the pages may be given away.
static inline bool hak_slab_is_idle(const hak_slab_t* slab) {
  return hak_slab_free_count(slab) == slab->capacity && slab->uncounted == 0;
}

// Lists. `before` is in the list; NULL: at the end.
void hak_slab_list_insert(hak_slab_list_t* list, hak_slab_t* slab, hak_slab_t* before);
void hak_slab_list_remove(hak_slab_list_t* list, hak_slab_t* slab);
static inline void hak_slab_list_append(hak_slab_list_t* list, hak_slab_t* slab) {
  hak_slab_list_insert(list, slab, NULL);
}

// In a forked child, where no remote free is in flight. Whether any were, told or not: a thread
// that is gone may have come as far as step 1, or not to tell. Only reads.
bool hak_slab_has_news(const hak_slab_t* slab);

// Takes all of them, so that nothing is uncounted.
void hak_slab_settle(hak_slab_t* slab);

// Where a thread that is gone may have been at work as the owner: derives the counts from the
// bitmap.
void hak_slab_recount(hak_slab_t* slab);

#endif  // HAKMEM_SLAB_H_
