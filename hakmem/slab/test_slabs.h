// What the tests of the slab layer share: heaps without threads, and blocks by index.

#ifndef HAKMEM_TEST_SLABS_H_
#define HAKMEM_TEST_SLABS_H_

#include <cstdlib>
#include <cstring>
#include <vector>

extern "C" {
#include "hakmem/heap/heap.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/slab/central.h"
#include "hakmem/slab/slab.h"
}

namespace hak {

// An open heap that no thread has. Kept for ever, as heaps are.
inline hak_heap_t* MakeHeap() {
  constexpr size_t kLine = HAK_CACHE_LINE;
  void* memory = aligned_alloc(kLine, (sizeof(hak_heap_t) + kLine - 1) / kLine * kLine);
  memset(memory, 0, sizeof(hak_heap_t));
  auto* heap = static_cast<hak_heap_t*>(memory);
  hak_store_release(&heap->pending, HAK_PENDING_NONE);
  return heap;
}

// Makes a slab that `heap` owns, in its list.
inline hak_slab_t* OwnSlab(hak_heap_t* heap, unsigned size_class) {
  hak_slab_t* slab = hak_slab_create(size_class, heap);
  heap->bins[size_class].n_slabs++;
  heap->owned_bytes += size_t{slab->run.n_pages} << HAK_PAGE_SHIFT;
  hak_slab_list_append(&heap->bins[size_class].partial, slab);
  return slab;
}

inline void* BlockAt(const hak_slab_t* slab, unsigned index) {
  return reinterpret_cast<void*>(slab->run.base +
                                 size_t{index} * hak_class_info(slab->run.size_class)->block_bytes);
}

// The index of the block at `address`, which must lie in `slab`; UINT32_MAX when none begins there.
inline uint32_t BlockIndex(const hak_slab_t* slab, const void* address) {
  return hak_class_block_index(slab->run.size_class,
                               reinterpret_cast<uintptr_t>(address) - slab->run.base);
}

// Takes up to n blocks, lowest first.
inline std::vector<void*> TakeBlocks(hak_slab_t* slab, unsigned n, bool whole_lines = false) {
  std::vector<void*> slots(n);
  void** end = slots.data() + n;
  unsigned taken = whole_lines ? hak_slab_take_lines(slab, end, n) : hak_slab_take(slab, end, n);
  return std::vector<void*>(slots.rbegin(), slots.rbegin() + taken);
}

// Takes all of a slab that `heap` owns, as a thread cache would.
inline std::vector<void*> TakeAllOwned(hak_heap_t* heap, hak_slab_t* slab) {
  std::vector<void*> blocks = TakeBlocks(slab, slab->capacity);
  hak_bin_t* bin = &heap->bins[slab->run.size_class];
  hak_slab_list_remove(&bin->partial, slab);
  hak_slab_list_append(&bin->full, slab);
  return blocks;
}

// Whether the page map says that `slab`'s pages hold blocks.
inline bool IsMapped(const void* block) { return (hak_page_map_class(block)) != 0; }

}  // namespace hak

#endif  // HAKMEM_TEST_SLABS_H_
