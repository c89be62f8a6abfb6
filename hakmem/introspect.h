// glibc's introspection functions, answered from our own figures.

#ifndef HAKMEM_INTROSPECT_H_
#define HAKMEM_INTROSPECT_H_

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>

// malloc_trim: returns what the calling thread caches, then all free pages to the kernel. Whether
// any memory was given back.
bool hak_introspect_trim(void);

// mallinfo2, as far as glibc's words fit: arena is the memory committed for spans and size classes,
// hblks and hblkhd the huge blocks, uordblks all bytes in the program's hands (as blocks), fordblks
// what is committed and not, ordblks the free blocks in slabs, smblks and fsmblks the blocks and
// bytes in thread caches, keepcost what malloc_trim could give back. usmblks is 0, as glibc's.
struct mallinfo2 hak_introspect_mallinfo2(void);

// malloc_stats: a table for a person, on stderr.
void hak_introspect_print(void);

// malloc_info: XML. Returns 0, or an errno value when the stream fails.
int hak_introspect_xml(FILE* stream);

#endif  // HAKMEM_INTROSPECT_H_
