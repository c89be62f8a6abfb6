// Names for addresses: by elfutils, from the files that the process had mapped, if these are still
// the same, and from files with their debugging information.

#ifndef HAKMEM_TOOLS_HAKPROF_SYMBOLS_H_
#define HAKMEM_TOOLS_HAKPROF_SYMBOLS_H_

#include "tools/hakprof/profile.h"

// Gives each location its frames, those of inlined functions too, C++ and Rust names as people
// write them, without parameters. What has no name is the file's and the offset in it, of the
// function's beginning where it is known. Where the file is not to be had, or is another by its
// build id (without one: was written after the profile), nothing has a name, and a note on stderr
// says so. Files are looked for by their path, and in `folder` (NULL: none) and /usr/lib/debug,
// there as NAME, and by build id as .build-id/xx/yyyy.debug.
void pf_find_symbols(pf_profile* profile, const char* folder);

#endif  // HAKMEM_TOOLS_HAKPROF_SYMBOLS_H_
