// The machine and the checkout a result comes from.

#ifndef HAKMEM_TOOLS_HAKRUN_HOST_H_
#define HAKMEM_TOOLS_HAKRUN_HOST_H_

#include <jansson.h>

// host_* keys: processor, caches (from sysfs: the C library's numbers are wrong in virtual
// machines), kernel, huge-page mode, frequency governor, and an id that tells machines apart
// without naming them. What cannot be found out is null. And commit and dirty of the user's
// checkout.
json_t* host_describe(void);

// Processor time that the hypervisor has given to others while this machine wanted it, since it
// started, of all processors, in ticks of some milliseconds. NAN where the kernel does not tell.
double host_steal_s(void);

#endif  // HAKMEM_TOOLS_HAKRUN_HOST_H_
