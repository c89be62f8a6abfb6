// Making room: address space and memory unmapped because the kernel refuses to give more.
//
// A limit (RLIMIT_AS, RLIMIT_DATA, a kernel that does not overcommit) counts what is mapped,
// whether it is used or not. So at a limit all that no block lies in is unmapped: reservations that
// nobody uses and what others have not used yet, free SuperSlabs, free pages of SuperSlabs, and
// what huge blocks leave of their last one. Their addresses are mapped again when they are needed.

#ifndef HAKMEM_ROOM_H_
#define HAKMEM_ROOM_H_

#include "hakmem/superslab/layout.h"

// As hak_reserve_try; where that fails, room is made if that can make enough: a request that
// exceeds all there is must not cost the program the memory it has ready. lock:BACKEND
hak_nodiscard hak_superslab_t* hak_room_take(uint32_t n, uint32_t align_supers, bool whole);

// As hak_meta_alloc; where that fails, room is made: at a limit what is free may take all that
// metadata could have. No lock held.
hak_nodiscard void* hak_room_meta_alloc(size_t bytes, size_t alignment);

// Whether the kernel would grant `bytes` more, were all reservations unmapped: asks it. (And
// whether the limit would, were nothing in use.) No lock held.
bool hak_room_is_possible(size_t bytes);

#endif  // HAKMEM_ROOM_H_
