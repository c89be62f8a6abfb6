// Where telemetry goes: what HAKMEM_TELEMETRY asks for.
//
//   FILE[,prom][,signal=NAME]
//
// FILE `-` is stderr; each %p in it becomes the process's id. `prom` also keeps FILE.prom up to
// date, in Prometheus's text format. `signal` writes a line when that signal arrives: NAME is a
// signal's name, with or without SIG, or its number.

#ifndef HAKMEM_TARGET_H_
#define HAKMEM_TARGET_H_

#include "hakmem/base/base.h"

typedef struct hak_target {
  char file[256];  // as it was asked for; "" for stderr
  bool is_stderr;
  bool with_prom;
  int signal;  // 0: none
} hak_target_t;

// False, with a line on stderr that names the part that is not understood.
hak_nodiscard bool hak_target_parse(const char* value, hak_target_t* target);

// The path for a process: every %p replaced, `directory` before it unless it is absolute, and
// `suffix` after it. False when it does not fit.
hak_nodiscard bool hak_target_path(const hak_target_t* target, const char* directory,
                                   int64_t process_id, const char* suffix, char* out, size_t bytes);

#endif  // HAKMEM_TARGET_H_
