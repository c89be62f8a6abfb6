// Canaries: what lies behind a block's last byte, so that a write past it comes to light.
//
// A block of a class, a span or a huge block has room for the size that was asked for, then for
// bytes that repeat one value, and in its last 8 bytes the canary: a number that is the process's
// and the address's own, with the count of those bytes in it. So the exact size of a block is known
// without a table, and one byte too many is noticed, unless it is by chance what lies there. Who
// can read the process's memory can forge it.
//
// Any thread that has the block; the functions do not look at what else is in it.

#ifndef HAKMEM_CANARY_H_
#define HAKMEM_CANARY_H_

#include "hakmem/base/base.h"

#define HAK_CANARY_BYTES sizeof(uint64_t)

// The most bytes there may be between size and canary.
#define HAK_CANARY_MAX_SLACK UINT16_MAX

// Says that the block of `bytes` bytes has `size` for the program. pre: size + HAK_CANARY_BYTES +
// HAK_CANARY_MAX_SLACK >= bytes >= size + HAK_CANARY_BYTES.
void hak_canary_set(void* block, size_t bytes, size_t size);

// The size of which hak_canary_set was told. False: what lies behind it was written to.
hak_nodiscard bool hak_canary_get(const void* block, size_t bytes, size_t* size);

#endif  // HAKMEM_CANARY_H_
