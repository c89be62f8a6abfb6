// The machine and the checkout a result comes from.

#ifndef HAKMEM_TOOLS_HAKRUN_HOST_H_
#define HAKMEM_TOOLS_HAKRUN_HOST_H_

#include <jansson.h>

// host_* keys: processor, caches (from sysfs: the C library's numbers are wrong in virtual
// machines), kernel, huge-page mode, frequency governor, and an id that tells machines apart
// without naming them. What cannot be found out is null. And commit and dirty of the user's
// checkout.
json_t* host_describe(void);

#endif  // HAKMEM_TOOLS_HAKRUN_HOST_H_
