// Pointers that a program should not have passed: what is wrong with one, in one line, and the end
// of the process.
//
// The line says what was done, the address, what lies there, the thread, and who freed it, where
// the block still waits with the thread that did:
//
//   hakmem: double free: 0x7f… (a block of 112 bytes, class 7, freed by thread 1), in thread 2
//
// Of a sampled block, lines with stacks follow (sample.h). The lines of the layers below name the
// same. Nothing is owned here, and no lock is taken: whoever
// gets here may hold any.

#ifndef HAKMEM_MISUSE_H_
#define HAKMEM_MISUSE_H_

#include "hakmem/base/base.h"

// What the program was doing.
typedef enum hak_misuse {
  HAK_MISUSE_FREE,
  HAK_MISUSE_REALLOC,
  HAK_MISUSE_SIZE,  // asking how much may be used
} hak_misuse_t;

// Ends the process for a pointer that is no live block's.
hak_noreturn hak_cold void hak_misuse_end(hak_misuse_t misuse, const void* ptr);

// Ends the process for a block that the calling thread has freed twice, or that is none, where that
// has not come to light since it still lies in the thread's magazines. When the process exits.
void hak_misuse_look_at_cached(void);

#endif  // HAKMEM_MISUSE_H_
