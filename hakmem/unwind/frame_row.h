// Rows of .eh_frame: how to come from a frame of a call to the one it was called from.
//
// Compilers write down for every instruction of every function where the frame's *canonical frame
// address* (CFA, the stack pointer before the call) is, and where, from there, the frame pointer
// and the return address were saved: a table of rows, packed as a program that builds one row from
// the one before (DWARF 5, 6.4; LSB 5, "Exception Frames"). This finds an instruction's row. Only
// the stack pointer and the frame pointer are followed, which is all that compiled code needs; for
// whatever is not so simple, handlers of signals for example, the row is said to be complex.
//
// Reads the mapped .eh_frame of a loaded object, nothing else: no memory, no locks, no calls.

#ifndef HAKMEM_FRAME_ROW_H_
#define HAKMEM_FRAME_ROW_H_

#include "hakmem/base/base.h"

typedef enum hak_row_kind {
  HAK_ROW_COMPLEX,  // it is there, but takes more than this to follow
  HAK_ROW_SIMPLE,
  HAK_ROW_LAST,  // nobody called: the frame is the outermost. Or nothing is known of it
} hak_row_kind_t;

// Of a simple row. CFA = frame pointer or stack pointer + cfa_offset. What was saved lies at the
// CFA less so many bytes; 0: the register still has it. All are multiples of 8, and at most this.
#define HAK_ROW_FARTHEST 0x7ff8
typedef struct hak_frame_row {
  uint8_t kind;  // hak_row_kind_t
  bool cfa_from_frame_pointer;
  uint16_t cfa_offset;
  uint16_t frame_pointer_below;
  uint16_t return_below;
} hak_frame_row_t;

// The row of the instruction that has the byte at `pc`. `header`: where the .eh_frame_hdr of the
// loaded object is that `pc` lies in.
hak_cold hak_frame_row_t hak_frame_row_find(const uint8_t* header, uintptr_t pc);

#endif  // HAKMEM_FRAME_ROW_H_
