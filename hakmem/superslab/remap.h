// SuperSlabs whose memory is replaced by other memory: fresh, or moved there from others.

#ifndef HAKMEM_REMAP_H_
#define HAKMEM_REMAP_H_

#include "hakmem/superslab/layout.h"

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
hak_nodiscard hak_replace_t hak_remap_again(hak_superslab_t* first, uint32_t n);

// Moves what *n consecutive SuperSlabs hold to as many others, without a copy; of fewer where the
// program has split their mapping, and *n says how many. REPLACED: those at `from` are drained.
// Otherwise all is still at `from`; KEPT: what was at `to` may be gone. No lock needed: the caller
// has them. pre: those at `from` are equally displaced.
hak_nodiscard hak_replace_t hak_remap_move(hak_superslab_t* from, hak_superslab_t* to, uint32_t* n);

#endif  // HAKMEM_REMAP_H_
