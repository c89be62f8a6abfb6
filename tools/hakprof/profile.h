// A profile in pprof's format, read and checked: every reference in it leads to something. Numbers
// are doubles, unknown is NaN, texts are clean (hp_clean). Everything lives until hp_free_all.
//
// (https://github.com/google/pprof/blob/main/proto/profile.proto has the messages.)

#ifndef HAKMEM_TOOLS_HAKPROF_PROFILE_H_
#define HAKMEM_TOOLS_HAKPROF_PROFILE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/hakplot/strings.h"

// A function of a module, or an address that nothing names. One structure each, so that equal
// functions have equal addresses.
typedef struct pf_function {
  const char* name;    // "libc.so.6+0x27249" where there is none
  const char* module;  // its file, without folders; "" where that is not known
} pf_function;

typedef struct pf_frame {
  const pf_function* function;
  const char* place;  // "sort.cc:12"; "" where that is not known
  bool is_inlined;    // into the next
} pf_frame;

typedef struct pf_mapping {
  uint64_t id, start, limit, offset;
  const char* path;      // as the process had it
  const char* build_id;  // in hexadecimal; "": it had none
} pf_mapping;

typedef struct pf_location {
  uint64_t id, address;
  const pf_mapping* mapping;  // NULL: none
  pf_frame* frames;           // innermost first; none until something names it
  size_t frame_count;
} pf_location;

typedef struct pf_type {
  const char* name;  // "inuse_space"
  const char* unit;  // "bytes", "count"
  int twin;          // of the same blocks: for bytes their number, for a number their bytes
} pf_type;

// A stack, and a value for each type.
typedef struct pf_sample {
  pf_location** locations;  // innermost first
  size_t location_count;
  double* values;
  const pf_frame** frames;  // of the locations, by pf_take_frames
  size_t frame_count;
} pf_sample;

typedef struct pf_profile {
  const char* name;  // of its file
  pf_type* types;
  size_t type_count;
  pf_mapping* mappings;
  size_t mapping_count;
  pf_location* locations;
  size_t location_count;
  pf_sample* samples;
  size_t sample_count;
  double interval;  // bytes between samples; NaN: not known
  double time_s;    // since 1970; NaN: not known
  hp_map* functions;
} pf_profile;

// Of a stack, what is outside of so many frames is left out.
enum { PF_NONE = -1, PF_FRAMES_MAX = 4096 };

// The file, packed by gzip or not. NULL, or what is wrong with it.
const char* pf_read(pf_profile* profile, const char* path);

// What the bytes say. NULL, or what is wrong with them.
const char* pf_decode(pf_profile* profile, const uint8_t* bytes, size_t size);

// The type of that name, or PF_NONE.
int pf_type_named(const pf_profile* profile, const char* name);

// The one structure of the function.
const pf_function* pf_function_named(pf_profile* profile, const char* name, const char* module);

// A path without its folders.
const char* pf_base_name(const char* path);

// Fills the frames of the samples from their locations, once these are named. The innermost frames
// that `is_skipped` says so of are left out, so that their callers get what they hold; one frame
// stays in any case.
void pf_take_frames(pf_profile* profile, bool (*is_skipped)(const char* name));

// The variance of a sample's value, which is an estimate; NaN where it is not known. A block of S
// bytes is a sample with p = 1 - exp(-S/R) and then counts as 1/p of them; the variance of the sum
// of their bytes is S * S * (1 - p) / p for each, where S is taken as their mean size. Where the
// number of blocks is not in the profile: as of small ones, which is the most, bytes * R.
double pf_variance(const pf_profile* profile, const pf_sample* sample, int type);

#endif  // HAKMEM_TOOLS_HAKPROF_PROFILE_H_
