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
hak_nodiscard bool hak_modules_read(void);

// The table, by address; and the number, from 1 on, of the one that holds an address; 0: none.
size_t hak_modules_count(void);
const hak_module_t* hak_module(size_t number);
size_t hak_modules_find(uintptr_t address);

#endif  // HAKMEM_MODULES_H_
