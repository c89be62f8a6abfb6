// Modules: the files whose code is mapped, so that an address in a profile can be given a name
// elsewhere, later: by file, offset and build id.

#ifndef HAKMEM_MODULES_H_
#define HAKMEM_MODULES_H_

#include "hakmem/base/base.h"

#define HAK_BUILD_ID_BYTES 32

typedef struct hak_module {
  uintptr_t begin, end;  // of the mapping
  uint64_t file_offset;  // where it begins in the file
  uintptr_t bias;        // an address less this is the address in the file's own terms
  const char* name;      // its path; "[vdso]" and the like
  uint8_t build_id[HAK_BUILD_ID_BYTES];
  unsigned build_id_bytes;  // 0: it has none
} hak_module_t;

// Reads what is mapped now, executable, into the one table there is. False: there is no memory for
// it. lock:DUMP
hak_cold hak_nodiscard bool hak_modules_read(void);

// The table, by address; and the number, from 1 on, of the one that holds an address; 0: none.
hak_cold size_t hak_modules_count(void);
hak_cold const hak_module_t* hak_module(size_t number);
hak_cold size_t hak_modules_find(uintptr_t address);

// A module's build id as hexadecimal digits; "": it has none. Returns `hex`.
#define HAK_BUILD_ID_HEX_BYTES (2 * HAK_BUILD_ID_BYTES + 1)
hak_cold const char* hak_module_build_id(const hak_module_t* module,
                                         char hex[HAK_BUILD_ID_HEX_BYTES]);

#endif  // HAKMEM_MODULES_H_
