// The direct backend: every run of pages its own mapping, unmapped when it is returned.
//
// What an allocator without SuperSlabs does, and what the report behind this project measured. For
// comparison only (HAKMEM_TINY_USE_SUPERSLAB=0): correct, but a system call or more for each slab
// that comes or goes.
//
// The page map knows SuperSlabs by 512 KiB of address space, so each such unit that ever held a
// run has a descriptor of its own (state DIRECT), kept for the next run there. A run never
// straddles units: it is mapped at a multiple of its size rounded up to a power of two.

#ifndef HAKMEM_DIRECT_H_
#define HAKMEM_DIRECT_H_

#include "hakmem/superslab/layout.h"

// As hak_super_take_run and hak_super_return_run, of HAK_DIRECT_MAX_PAGES at most. The memory is
// always fresh.
hak_nodiscard hak_cold hak_run_t* hak_direct_take_run(unsigned n_pages, unsigned align_pages,
                                                      unsigned size_class);
hak_cold void hak_direct_return_run(hak_superslab_t* unit, hak_run_t* run);

// All units there are: a list through `next`, newest first, that only grows. lock:BACKEND
hak_superslab_t* hak_direct_units(void);

#endif  // HAKMEM_DIRECT_H_
