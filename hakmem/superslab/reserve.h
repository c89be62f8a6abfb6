// Reservations: large aligned stretches of address space, cut into SuperSlabs.
//
// Behind each is a guard without access. Address space is taken in few, growing pieces and kept;
// memory is given back by purging, which leaves mappings whole. A reservation cannot be touched at
// first, so that it counts against no limit on memory; from its beginning on it is made writable as
// its SuperSlabs are taken, in growing pieces; and of the process's first SuperSlab, if it is to be
// cut, as its pages are. When the kernel refuses a large reservation, smaller ones are tried; what
// is done when it refuses even what the request needs is room.h's. All functions here:
// lock:BACKEND.

#ifndef HAKMEM_RESERVE_H_
#define HAKMEM_RESERVE_H_

#include "hakmem/superslab/layout.h"

typedef struct hak_reservation {
  uintptr_t base;          // 0: unmapped, and the descriptors wait for the next reservation
  uint32_t capacity;       // const: how many descriptors there are
  uint32_t n_supers;       // at most the capacity; fewer once what it ended with was unmapped
  uint32_t n_writable;     // the SuperSlabs before this one are not just reserved
  uint32_t n_free;         // SuperSlabs with their bit set
  uint32_t n_prepared;     // no SuperSlab from this one on has been taken since it was mapped
  bool has_huge_pages;     // the kernel was asked for them in all of it
  bool is_leaving;         // being unmapped: a child forked meanwhile gives it up
  size_t guard_bytes;      // of the guard behind it; 0 once that was unmapped
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

// Takes `n` consecutive free SuperSlabs, the first at a multiple of `align_supers` SuperSlabs and
// with `room` free ones behind them; reserves more address space when there are none. Those that
// hold memory first, then the lowest. post: they are mapped and writable; where they are not
// `whole`, but to be cut, without reserved_pages. NULL: the kernel refuses (hak_room_take makes
// room then).
hak_nodiscard hak_superslab_t* hak_reserve_try(uint32_t n, uint32_t room, uint32_t align_supers,
                                               bool whole);

// The SuperSlab that has reserved pages, if it is cut; NULL: none has.
hak_superslab_t* hak_reserve_growing(void);

// Makes some more of its pages writable, in order. Returns which; 0: the kernel refuses.
uint64_t hak_reserve_grow(hak_superslab_t* super);

// Takes the `n` SuperSlabs that begin with the one after `last`, if all of them are free and the
// kernel gives their memory.
hak_nodiscard bool hak_reserve_take_after(const hak_superslab_t* last, uint32_t n);

// Takes this one SuperSlab out of the free ones. pre: FREE.
void hak_reserve_take_this(hak_superslab_t* super);

// Gives back `n` consecutive SuperSlabs. post: FREE; those of which pages were unmapped are
// unmapped as a whole (or LOST, if the kernel refuses).
void hak_reserve_give(hak_superslab_t* first, uint32_t n);

// Unmaps pages of a SuperSlab that nobody uses; returns those that the kernel took back. The caller
// keeps free_pages and dirty_pages right.
uint64_t hak_reserve_unmap_pages(hak_superslab_t* super, uint64_t pages);

// Maps a SuperSlab's absent pages again. 0, or an errno value (EEXIST: another mapping lies there).
hak_nodiscard int hak_reserve_map_pages(hak_superslab_t* super);

// Unmaps all that is free of a reservation: what it ends with for good, the rest until it is taken.
void hak_reserve_unmap_free(hak_reservation_t* reservation);

// Asks for no huge pages any more in a reservation for which they were asked.
void hak_reserve_forgo_huge_pages(hak_reservation_t* reservation);

bool hak_reserve_is_free(const hak_reservation_t* reservation, uint32_t i);

// Gives `n` consecutive SuperSlabs up for good. post: LOST.
void hak_reserve_lose(hak_superslab_t* first, uint32_t n);

// In a forked child: derives which SuperSlabs are free from their states.
void hak_reserve_repair(void);

// Address space reserved, without guards and what was unmapped or lost, and what of it is writable.
// No lock needed.
size_t hak_reserve_bytes(void);
size_t hak_reserve_writable_bytes(void);

#endif  // HAKMEM_RESERVE_H_
