// Where an installed tool finds what belongs to it. //:install puts programs into PREFIX/bin and
// what they need under the names that it has in this repository: what depends on the processor into
// PREFIX/libexec/hakmem, the rest into PREFIX/share/hakmem. PREFIX is found from the running
// program, so that an installed tree can be moved.

#ifndef HAKMEM_TOOLS_INSTALLED_INSTALLED_H_
#define HAKMEM_TOOLS_INSTALLED_INSTALLED_H_

// The absolute name of the installed file or folder that the repository calls `path`, to be freed.
// NULL when it is not there, as when the program is not installed.
char* installed_find(const char* path);

#endif  // HAKMEM_TOOLS_INSTALLED_INSTALLED_H_
