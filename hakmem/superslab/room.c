// What could be unmapped, whether that would do, and unmapping it.

#include "hakmem/superslab/room.h"

#include "hakmem/base/bits.h"
#include "hakmem/options/options.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/platform/platform.h"
#include "hakmem/superslab/bins.h"
#include "hakmem/superslab/limit.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/superslab/spare.h"

// SuperSlabs with pages unmapped while others are in use, each of which takes a mapping or two of
// its own: no more are made while there are so many.
#define MAX_HOLED 8192

typedef struct room {
  size_t space;     // bytes of address space
  size_t writable;  // bytes of it that are writable
  size_t n_holed;
} room_t;

// ---- what could be unmapped ----

static bool can_map(size_t bytes, int (*map)(size_t, size_t, void**)) {
  void* base = NULL;
  if (bytes == 0) return true;
  if (map(bytes, hak_platform_os_page_bytes(), &base) != 0) return false;
  hak_platform_unmap(base, bytes);
  return true;
}

// Whether the kernel would grant `bytes`, had it that much more room than it has. Where it refuses
// memory but not as much address space, memory is what is short.
static bool would_grant(size_t bytes, size_t space, size_t writable) {
  size_t memory = bytes > writable ? bytes - writable : 0;
  if (can_map(memory, hak_platform_map)) return true;
  if (can_map(memory, hak_platform_reserve)) return false;
  return can_map(bytes > space ? bytes - space : 0, hak_platform_reserve);
}

bool hak_room_is_possible(size_t bytes) {
  return bytes <= hak_limit_hard() &&
         would_grant(bytes, hak_reserve_bytes(), hak_reserve_writable_bytes());
}

// The pages of a SuperSlab in use that no block lies in. (The direct backend keeps them: its runs
// must not come to lie in a hole, where the page map knows a SuperSlab.)
static uint64_t unused_pages(const hak_superslab_t* super) {
  if (hak_option_number(HAK_OPTION_use_superslab) == 0) return 0;
  unsigned state = hak_load_relaxed(&((hak_superslab_t*)super)->state);
  if (state == HAK_SUPER_PAGES) return super->free_pages;
  const hak_superslab_t* head = super->head;
  return head == NULL || head->is_pinned ? 0 : hak_super_tail_pages(super);
}

static void count(const hak_reservation_t* r, room_t* room) {
  room->space += r->guard_bytes;
  for (uint32_t i = 0; i < r->n_supers; i++) {
    const hak_superslab_t* super = hak_reserve_super(r, i);
    if (hak_reserve_is_free(r, i)) {
      bool is_mapped = super->absent_pages == 0;
      room->space += is_mapped ? hak_super_bytes() : 0;
      room->writable += is_mapped && i < r->n_writable ? hak_super_bytes() : 0;
    } else {
      size_t bytes = (size_t)hak_bit_count(unused_pages(super)) << HAK_PAGE_SHIFT;
      room->space += bytes;
      room->writable += bytes;
      room->n_holed += super->absent_pages != 0;
    }
  }
}

// ---- unmapping it ----

static void unmap(hak_reservation_t* r, room_t* room) {
  hak_reserve_unmap_free(r);
  for (uint32_t i = 0; i < r->n_supers && room->n_holed < MAX_HOLED; i++) {
    hak_superslab_t* super = hak_reserve_super(r, i);
    if (hak_reserve_is_free(r, i) || unused_pages(super) == 0) continue;
    room->n_holed += super->absent_pages == 0;
    if (hak_load_relaxed(&super->state) == HAK_SUPER_PAGES) {
      hak_super_unmap_free(super);
    } else {
      super->dirty_pages &= ~hak_reserve_unmap_pages(super, unused_pages(super));
      hak_spare_count(super);
    }
  }
}

// Whether anything was unmapped, and enough for `bytes` may be.
static bool make_room(size_t bytes) {
  room_t room = {0};
  size_t before = hak_reserve_bytes();
  for (unsigned k = 0; k < hak_reserve_count(); k++) count(hak_reserve_get(k), &room);
  if (room.space == 0 || !would_grant(bytes, room.space, room.writable)) return false;
  for (unsigned k = 0; k < hak_reserve_count(); k++) unmap(hak_reserve_get(k), &room);
  return hak_reserve_bytes() < before;
}

void* hak_room_meta_alloc(size_t bytes, size_t alignment) {
  void* memory = hak_meta_alloc(bytes, alignment);
  if (hak_likely(memory != NULL)) return memory;
  hak_lock_acquire(&hak_backend_lock);
  bool is_made = make_room(bytes);
  hak_lock_release(&hak_backend_lock);
  return is_made ? hak_meta_alloc(bytes, alignment) : NULL;
}

hak_superslab_t* hak_room_take(uint32_t n, uint32_t align_supers, bool whole) {
  hak_superslab_t* first = hak_reserve_try(n, 0, align_supers, whole);
  if (first != NULL) return first;
  size_t with_alignment = align_supers > 1 ? (size_t)n + align_supers : n;
  if (!make_room(with_alignment * hak_super_bytes())) return NULL;
  return hak_reserve_try(n, 0, align_supers, whole);
}
