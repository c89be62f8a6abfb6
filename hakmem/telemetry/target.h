// Where telemetry and heap profiles go, and when: what their options ask for.
//
//   FILE[,prom][,signal=NAME]                                        HAKMEM_TELEMETRY
//   INTERVAL[,FILE][,signal=NAME][,every=TIME][,toggle=NAME]         HAKMEM_PROFILE
//
// FILE `-` is stderr, of telemetry; each %p in it becomes the process's id, each %n, of a profile,
// its number. `prom` also keeps FILE.prom up to date, in Prometheus's text format. `signal` writes
// when that signal arrives: NAME is a signal's name, with or without SIG, or its number. `every`
// writes at an interval. At the signal of `toggle` the profiler starts or stops.

#ifndef HAKMEM_TARGET_H_
#define HAKMEM_TARGET_H_

#include "hakmem/base/base.h"

typedef struct hak_target {
  char file[256];  // as it was asked for; "" for stderr
  bool is_stderr;
  bool with_prom;
  int signal, toggle;  // 0: none
  uint64_t every_ms;   // 0: not
  uint64_t interval;   // of sampling, in bytes
} hak_target_t;

// What HAKMEM_TELEMETRY, or HAKMEM_PROFILE, asks for. `file` is "" when the latter names none.
// False, with a line on stderr that names the part that is not understood.
hak_cold hak_nodiscard bool hak_target_parse(const char* value, hak_target_t* target);
hak_cold hak_nodiscard bool hak_target_parse_profile(const char* value, hak_target_t* target);

// The path for a process: every %p replaced, and every %n by `number` with four digits at least,
// unless it is 0; `directory` before it unless it is absolute, and `suffix` after it. False when it
// does not fit.
hak_cold hak_nodiscard bool hak_target_path(const hak_target_t* target, const char* directory,
                                            int64_t process_id, uint64_t number, const char* suffix,
                                            char* out, size_t bytes);

// The most bytes of a sampling interval.
#define HAK_SAMPLING_INTERVAL_MAX (INT64_C(1) << 30)

#endif  // HAKMEM_TARGET_H_
