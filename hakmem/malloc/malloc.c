// The public API under its own names. Each function is a few lines over the layers below.

// A promise to callers (hakmem.h), which GCC would hold against the definitions: they pass the
// address on.
#define HAK_ADDRESS_ONLY(n)

#include <errno.h>
#include <string.h>

#include "hakmem/base/bits.h"
#include "hakmem/hardened/hardened.h"
#include "hakmem/hardened/sample.h"
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/malloc/fast_path.h"
#include "hakmem/malloc/misuse.h"
#include "hakmem/malloc/start.h"
#include "hakmem/malloc/zero_size.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/fork.h"
#include "hakmem/platform/platform.h"
#include "hakmem/slab/central.h"
#include "hakmem/slab/slab.h"
#include "hakmem/superslab/large.h"
#include "hakmem/superslab/limit.h"
#include "hakmem/superslab/purge.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/superslab/spare.h"

// ---- malloc and free ----

void* hak_malloc(size_t size) { return hak_fast_malloc(size); }

void hak_free(void* ptr) { hak_fast_free(ptr); }

void* hak_calloc(size_t count, size_t size) {
  size_t bytes;
  if (hak_unlikely(__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX)) {
    return hak_refuse();
  }
  if (hak_unlikely(bytes > HAK_SMALL_MAX)) {
    return hak_malloc_large_aligned(bytes, HAK_MIN_ALIGNMENT, true);
  }
  void* block = hak_fast_malloc(bytes);
  return hak_likely(block != NULL) ? memset(block, 0, bytes) : NULL;
}

// ---- what a block is ----

// Usable bytes of the small block or span that begins at `ptr`; 0 when none does: for NULL, a huge
// block, or what is no block. (One way for both kinds: programs that resize blocks of all sizes
// would have a branch between them mispredicted.)
static inline size_t run_block_bytes(const void* ptr) {
  hak_page_leaf_t* leaf = hak_page_map_leaf(ptr);
  if (hak_unlikely(leaf == NULL)) return 0;
  uint32_t page = hak_leaf_page((uintptr_t)ptr);
  unsigned size_class = hak_load_relaxed(&leaf->classes[page]);
  unsigned run = hak_load_relaxed(&leaf->runs[page]);
  size_t offset = (uintptr_t)ptr % HAK_PAGE_BYTES + hak_run_bytes_before(run);
  if (hak_unlikely(hak_class_block_index(size_class, offset) == UINT32_MAX)) return 0;
  return hak_class_info(size_class)->block_bytes + hak_run_span_bytes(run);
}

hak_noinline static size_t hardened_size(const void* ptr, hak_misuse_t misuse) {
  size_t size = 0;
  if (!hak_hardened_size(ptr, &size) && !hak_zero_size_is_live(ptr)) hak_misuse_end(misuse, ptr);
  return size;
}

// Usable bytes of the block that begins at `ptr`. Aborts when none does.
static size_t usable_size(const void* ptr, hak_misuse_t misuse) {
  if (hak_is_hardened()) return hardened_size(ptr, misuse);
  size_t bytes = run_block_bytes(ptr);
  if (hak_likely(bytes != 0)) return bytes;
  bytes = hak_large_usable_size(ptr);
  if (hak_unlikely(bytes == 0)) bytes = hak_sample_size(ptr);
  if (hak_unlikely(bytes == 0)) bytes = hak_central_sampled_bytes(ptr);
  if (hak_unlikely(bytes == 0) && !hak_zero_size_is_live(ptr)) hak_misuse_end(misuse, ptr);
  return bytes;
}

// Aborts for a small block that the thread freed a moment ago.
static void check_not_freed(const void* ptr, hak_misuse_t misuse) {
  const hak_magazine_top_t* tops = hak_this_heap->top;
  unsigned entry = hak_page_map_class(ptr), size_class = hak_class_proper(entry);
  if (hak_unlikely(hak_magazine_has_on_top(tops, entry, ptr)) ||
      hak_unlikely(entry != size_class && hak_magazine_has_on_top(tops, size_class, ptr))) {
    hak_misuse_end(misuse, ptr);
  }
}

size_t hak_usable_size(const void* ptr) {
  if (ptr == NULL) return 0;
  check_not_freed(ptr, HAK_MISUSE_SIZE);
  return usable_size(ptr, HAK_MISUSE_SIZE);
}

// Aborts for a size with which nobody can have come by the block. (`good` is the size of what a
// request like it gets. realloc lets a block stay that shrinks to more than half, and has one that
// grows be larger by up to a quarter.)
static void check_size(const void* ptr, size_t size, size_t good) {
  size_t usable = usable_size(ptr, HAK_MISUSE_FREE);
  size_t least = hak_is_hardened() ? usable : usable / 2 + 1;
  bool fits = size <= usable && (size >= least || good == usable);
  if (hak_likely(fits) || (size < usable && hak_load_relaxed(&hak_has_ill_fitting))) return;
  hak_fatal_pointer("free with a size that the block cannot have", ptr);
}

void hak_free_sized(void* ptr, size_t size) {
  if (ptr == NULL) return;
  check_size(ptr, size, hak_good_size(size));
  hak_fast_free(ptr);
}

static size_t good_aligned_size(size_t size, size_t alignment) {
  if (alignment <= HAK_MIN_ALIGNMENT) return hak_good_size(size);
  unsigned size_class = hak_class_of_aligned(size, alignment);
  return size_class != 0 ? hak_class_size(size_class) : hak_whole_os_pages(size);
}

void hak_free_aligned_sized(void* ptr, size_t alignment, size_t size) {
  if (ptr == NULL) return;
  check_size(ptr, size, good_aligned_size(size, alignment));
  if (hak_unlikely(((uintptr_t)ptr & (alignment - 1)) != 0)) {
    hak_fatal_pointer("free with an alignment that the block does not have", ptr);
  }
  hak_fast_free(ptr);
}

// ---- realloc ----

// A block that grows by less than a quarter gets the quarter, if there is memory: what is appended
// to piece by piece is copied half as often (as in tcmalloc). But not beyond the next power of two,
// where programs like to stop, and where classes end and spans, which are much coarser, begin.
static void* malloc_grown(size_t old_size, size_t size) {
  size_t ample = hak_min_size(old_size + old_size / 4, hak_power_of_two_from(size));
  void* block = size > old_size && size < ample ? hak_malloc_try(hak_this_heap, ample) : NULL;
  return block != NULL ? block : hak_fast_malloc(size);
}

static void* move_block(void* ptr, size_t old_size, size_t size) {
  void* block = malloc_grown(old_size, size);
  if (block == NULL) return NULL;
  memcpy(block, ptr, hak_min_size(old_size, size));
  hak_fast_free(ptr);
  return block;
}

// A smaller size always succeeds: where there is no other block for it, the one there is has to do.
static void* stay(void* ptr) {
  hak_store_relaxed(&hak_has_ill_fitting, true);
  return ptr;
}

static void* move_or_stay(void* ptr, size_t old_size, size_t size) {
  void* moved = move_block(ptr, old_size, size);
  return moved != NULL || size > old_size ? moved : stay(ptr);
}

// A block of `old_size` that does not just stay as it is. (Out of line, as the next one:
// hak_realloc is to save no registers.)
hak_noinline static void* resize(void* ptr, size_t old_size, size_t size) {
  if (hak_unlikely(size > PTRDIFF_MAX)) return hak_refuse();
  if (hak_slab_class_at(ptr) != 0) {
    check_not_freed(ptr, HAK_MISUSE_REALLOC);
    if (size <= old_size && size > old_size / 2) return ptr;
  } else if (size > HAK_SMALL_MAX) {
    void* resized = hak_malloc_resize_large(ptr, size);
    if (resized != NULL) return resized;
  }
  return move_or_stay(ptr, old_size, size);
}

// realloc of NULL, to nothing, or of what is neither a small block nor a span.
hak_noinline static void* realloc_other(void* ptr, size_t size) {
  if (ptr == NULL) return hak_malloc(size);
  if (size != 0) {
    size_t old_size = usable_size(ptr, HAK_MISUSE_REALLOC);
    bool is_in_super = hak_page_map_super(ptr) != NULL;  // neither of size 0 nor a sample
    return is_in_super ? resize(ptr, old_size, size) : move_or_stay(ptr, old_size, size);
  }
  hak_free(ptr);
  return NULL;
}

// Of a hardened process. What it can't have in place is copied, and the old block freed as any.
hak_noinline static void* realloc_hardened(void* ptr, size_t size) {
  if (ptr == NULL) return hak_malloc(size);
  if (size == 0) {
    hak_free(ptr);
    return NULL;
  }
  size_t old_size = hardened_size(ptr, HAK_MISUSE_REALLOC);
  if (size > PTRDIFF_MAX) return hak_refuse();
  hak_fork_look();
  void* block = hak_hardened_resize(ptr, size);
  if (block != NULL) return block;
  block = hak_malloc(size);
  if (block == NULL) return size > old_size ? NULL : stay(ptr);
  memcpy(block, ptr, hak_min_size(old_size, size));
  hak_free(ptr);
  return block;
}

// Down to half its size a small block stays: programs that shrink a little grow again soon. Of a
// large one whole OS pages are given back, of which none is smaller than 4 KiB. What stays in
// either case is known here, without a branch between the two.
void* hak_realloc(void* ptr, size_t size) {
  if (hak_is_hardened()) return realloc_hardened(ptr, size);
  size_t old_size = run_block_bytes(ptr);
  if (hak_unlikely(old_size == 0 || size == 0)) return realloc_other(ptr, size);
  size_t spare = hak_min_size(old_size / 2, 4 * HAK_KIB);
  if (size <= old_size && size > old_size - spare) return ptr;
  return resize(ptr, old_size, size);
}

void* hak_reallocarray(void* ptr, size_t count, size_t size) {
  size_t bytes;
  if (hak_unlikely(__builtin_mul_overflow(count, size, &bytes))) return hak_refuse();
  return hak_realloc(ptr, bytes);
}

// ---- aligned allocation ----

// pre: `alignment` is a power of two.
static void* alloc_aligned(size_t alignment, size_t size) {
  if (alignment <= HAK_MIN_ALIGNMENT) return hak_malloc(size);
  if (size > PTRDIFF_MAX || alignment > PTRDIFF_MAX - size) return hak_refuse();
  unsigned size_class = hak_class_of_aligned(size, alignment);
  if (size_class == 0) return hak_malloc_large_aligned(size, alignment, false);
  hak_heap_t* heap = hak_this_heap;
  void* block = hak_magazine_pop(heap->top, size_class);
  return hak_likely(block != NULL) ? block
                                   : hak_malloc_refill_aligned(size, alignment, heap, size_class);
}

void* hak_aligned_alloc(size_t alignment, size_t size) {
  if (!hak_is_power_of_two(alignment)) {
    errno = EINVAL;
    return NULL;
  }
  return alloc_aligned(alignment, size);
}

int hak_posix_memalign(void** out, size_t alignment, size_t size) {
  if (!hak_is_power_of_two(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
  void* block = alloc_aligned(alignment, size);
  if (block == NULL) return ENOMEM;
  *out = block;
  return 0;
}

void* hak_memalign(size_t alignment, size_t size) {
  if (alignment > SIZE_MAX / 2 + 1) {
    errno = EINVAL;
    return NULL;
  }
  size_t rounded = HAK_MIN_ALIGNMENT;
  while (rounded < alignment) rounded *= 2;
  return alloc_aligned(rounded, size);
}

// ---- questions ----

size_t hak_good_size(size_t size) {
  if (hak_is_hardened()) return size <= PTRDIFF_MAX ? size : 0;
  if (size <= HAK_SMALL_MAX) return hak_class_info(hak_class_of(size))->block_bytes;
  if (size > PTRDIFF_MAX) return 0;
  return hak_whole_os_pages(size);
}

unsigned hak_size_class(size_t size) { return size <= HAK_SMALL_MAX ? hak_class_of(size) : 0; }

size_t hak_class_size(unsigned size_class) {
  return size_class < HAK_N_CLASSES ? hak_class_info(size_class)->block_bytes : 0;
}

static bool is_in_sample(const void* ptr) {
  hak_sample_t sample;
  return hak_sample_find(ptr, &sample) && !sample.is_free &&
         (uintptr_t)ptr - sample.base < sample.size;
}

bool hak_owns(const void* ptr) {
  hak_super_info info;
  return hak_super_lookup(ptr, &info) || hak_zero_size_is_live(ptr) || is_in_sample(ptr);
}

static bool find_block(const void* ptr, hak_super_info* info) {
  unsigned size_class = hak_slab_class_at(ptr);
  info->size_class = size_class;
  if (size_class == 0) return hak_large_find(ptr, &info->block_base, &info->block_bytes);
  const hak_slab_t* slab = hak_slab_of(ptr);
  size_t block_bytes = hak_class_info(size_class)->block_bytes;
  size_t index = ((uintptr_t)ptr - slab->run.base) / block_bytes;
  info->block_bytes = block_bytes;
  info->block_base = slab->run.base + index * block_bytes;
  return index < slab->capacity;
}

bool hak_super_lookup(const void* ptr, hak_super_info* info) {
  const hak_superslab_t* super = hak_page_map_super(ptr);
  if (super == NULL) return false;
  hak_super_info found;
  if (!find_block(ptr, &found)) return false;
  if (hak_is_hardened()) {
    found.block_bytes = hak_hardened_usable_size((const void*)found.block_base);
  }
  unsigned state = hak_load_relaxed(&((hak_superslab_t*)super)->state);
  const hak_superslab_t* head = state == HAK_SUPER_HUGE ? super->head : super;
  found.super_base = head->base;
  found.super_bytes = state == HAK_SUPER_HUGE     ? head->huge_supers * hak_super_bytes()
                      : state == HAK_SUPER_DIRECT ? (size_t)1 << HAK_SUPER_MIN_SHIFT
                                                  : hak_super_bytes();
  found.page_base = hak_round_down((uintptr_t)ptr, HAK_PAGE_BYTES);
  found.page_index = (unsigned)((found.page_base - super->base) >> HAK_PAGE_SHIFT);
  *info = found;
  return true;
}

unsigned hak_ss_prewarm_class(unsigned size_class, unsigned superslabs) {
  return hak_prewarm_class(size_class, superslabs);
}

// ---- the limit ----

bool hak_memory_limit_set(size_t soft_bytes, size_t hard_bytes) {
  hak_fork_look();
  hak_reserve_ready();  // what the environment says comes first
  if (!hak_limit_set(soft_bytes, hard_bytes, hak_spare_committed_bytes())) {
    errno = EINVAL;
    return false;
  }
  if (hak_limit_is_near()) (void)hak_purge_all();
  return true;
}

void hak_memory_limit_get(size_t* soft_bytes, size_t* hard_bytes) {
  hak_reserve_ready();
  if (soft_bytes != NULL) *soft_bytes = hak_limit_soft();
  if (hard_bytes != NULL) *hard_bytes = hak_limit_hard();
}

#define TEXT(x) TEXT_OF(x)
#define TEXT_OF(x) #x

const char* hak_version(void) {
  return TEXT(HAK_VERSION_MAJOR) "." TEXT(HAK_VERSION_MINOR) "." TEXT(HAK_VERSION_PATCH);
}
