// Spans: runs of pages in a SuperSlab that are one block each, of up to half a SuperSlab.
//
// The page map says which runs are live spans and how many bytes each has for the program (whole OS
// pages); a span that is cached or free has none. Freed, its pages stay in the SuperSlab with their
// memory until the purge delay is over. Lock: BACKEND, inside.

#ifndef HAKMEM_SPAN_H_
#define HAKMEM_SPAN_H_

#include "hakmem/superslab/superslab.h"

// A span of `size` bytes at a multiple of `alignment`, a power of two, both at most half a
// SuperSlab. NULL: out of memory. With `zero`, all of the size asked for is zero.
hak_nodiscard void* hak_span_alloc(size_t size, size_t alignment, bool zero);

// Makes the run at `span` a live span, with the usable bytes that a block of `size` bytes gets.
// pre: it has the pages.
static inline void hak_span_set_bytes(uintptr_t span, size_t size) {
  hak_page_map_set_span_bytes(span, hak_whole_os_pages(size));
}

// The live span that begins at `ptr`, which lies in `super`; NULL when none does.
hak_run_t* hak_span_at(hak_superslab_t* super, const void* ptr);

// Returns a live span to its SuperSlab.
void hak_span_free(hak_run_t* span);

// Tries to make a live span hold `size` bytes where it is. It grows into the pages after it where
// they are free, and shrinks to half its size or more. Otherwise it is better off elsewhere: NULL.
hak_nodiscard void* hak_span_resize(hak_run_t* span, size_t size);

#endif  // HAKMEM_SPAN_H_
