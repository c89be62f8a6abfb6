// The walk up the stack, the table of rows, libgcc_s in reserve; which frames are the program's,
// and what they are called.

#define _GNU_SOURCE  // _dl_find_object, RTLD_DEFAULT

#include "hakmem/unwind/unwind.h"

#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <ucontext.h>
#include <unwind.h>

#include "hakmem/base/atomic.h"
#include "hakmem/base/bits.h"
#include "hakmem/base/config.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/platform/libc.h"
#include "hakmem/unwind/frame_row.h"

// A static program has no dynamic linker, and is not to get one for this.
#pragma weak dlopen
#pragma weak dlsym

// Of the allocator's own, more than these are not expected before the program's.
#define OWN_DEPTH 16
#define DEPTH (HAK_UNWIND_DEPTH + OWN_DEPTH)

typedef int (*find_object_fn)(void*, struct dl_find_object*);
typedef _Unwind_Reason_Code (*backtrace_fn)(_Unwind_Trace_Fn, void*);
typedef _Unwind_Ptr (*get_ip_fn)(struct _Unwind_Context*, int*);

static _Atomic(bool) is_ready;  // what follows is const then
static find_object_fn find_object;
static backtrace_fn backtrace;
static get_ip_fn get_ip;
static uintptr_t first_stack_end;  // of the first thread's; 0: not known

// ---- the table of rows ----

// A place is known by a hash of the address and its object, and holds the row and some bits of the
// hash, which tell where two threads have written to it at once. What is overwritten is found anew.
typedef struct kept_row {
  _Atomic(uint64_t) key, row;
} kept_row_t;
static kept_row_t* kept_rows;  // const once it is ready

#define ROW_BITS 39  // kind 2, register 1, offset 12 of each three, in units of 8

static uint64_t pack(hak_frame_row_t row) {
  return (uint64_t)row.kind | (uint64_t)row.cfa_from_frame_pointer << 2 |
         (uint64_t)(row.cfa_offset / 8) << 3 | (uint64_t)(row.frame_pointer_below / 8) << 15 |
         (uint64_t)(row.return_below / 8) << 27;
}

static hak_frame_row_t unpack(uint64_t bits) {
  return (hak_frame_row_t){
      .kind = bits & 3,
      .cfa_from_frame_pointer = (bits >> 2 & 1) != 0,
      .cfa_offset = (uint16_t)((bits >> 3 & 0xfff) * 8),
      .frame_pointer_below = (uint16_t)((bits >> 15 & 0xfff) * 8),
      .return_below = (uint16_t)((bits >> 27 & 0xfff) * 8),
  };
}

// An object that is loaded now, by where it lies and where its table of frames is: what is mapped
// there after it has gone, and is other, has that elsewhere.
typedef struct object {
  uintptr_t begin, end;
  const uint8_t* header;
  uint64_t key;
} object_t;

// Those that stay as long as the process: our own, the program, libc.
enum { OWN, PROGRAM, LIBC, N_LASTING };
static object_t lasting[N_LASTING];  // const once it is ready
static bool is_apart;                // the allocator is a shared library, or in one

static bool is_in(uintptr_t pc, const object_t* object) {
  return pc >= object->begin && pc < object->end;
}

static bool find(uintptr_t pc, object_t* object) {
  if (hak_likely(is_in(pc, object))) return true;
  for (unsigned i = 0; i < N_LASTING; i++) {
    if (!is_in(pc, &lasting[i])) continue;
    *object = lasting[i];
    return true;
  }
  struct dl_find_object found;
  if (find_object((void*)pc, &found) != 0) return false;
  object->begin = (uintptr_t)found.dlfo_map_start;
  object->end = (uintptr_t)found.dlfo_map_end;
  object->header = found.dlfo_eh_frame;
  if (object->header == NULL) return false;
  uint32_t n_entries;
  memcpy(&n_entries, object->header + 8, sizeof n_entries);
  object->key =
      hak_mix((uintptr_t)object->header ^ (object->end - object->begin) << 20) ^ n_entries;
  return true;
}

static hak_frame_row_t row_of(uintptr_t pc, object_t* object) {
  if (!find(pc, object)) return (hak_frame_row_t){.kind = HAK_ROW_LAST};
  uint64_t key = (pc ^ object->key) * UINT64_C(0x9e3779b97f4a7c15), more = key << ROW_BITS;
  kept_row_t* place = &kept_rows[key >> 48 & (HAK_PROFILE_ROWS - 1)];
  uint64_t bits = hak_load_relaxed(&place->row);
  bool is_kept = hak_load_relaxed(&place->key) == key;
  if (hak_likely(is_kept && bits >> ROW_BITS == more >> ROW_BITS)) return unpack(bits);
  hak_frame_row_t row = hak_frame_row_find(object->header, pc);
  hak_store_relaxed(&place->key, key);
  hak_store_relaxed(&place->row, pack(row) | more);
  return row;
}

// ---- the walk ----

typedef struct registers {
  uintptr_t pc, stack_pointer, frame_pointer;
} registers_t;

// Those of the function that it is in.
#if defined(__x86_64__)
#define GET_REGISTERS(r)                                                \
  __asm__ volatile("lea 0(%%rip), %0\n\tmov %%rsp, %1\n\tmov %%rbp, %2" \
                   : "=&r"((r)->pc), "=&r"((r)->stack_pointer), "=&r"((r)->frame_pointer))
static uintptr_t thread_pointer(void) {
  uintptr_t pointer;
  __asm__("mov %%fs:0, %0" : "=r"(pointer));
  return pointer;
}
static registers_t interrupted(const ucontext_t* context) {
  const greg_t* r = context->uc_mcontext.gregs;
  return (registers_t){(uintptr_t)r[REG_RIP], (uintptr_t)r[REG_RSP], (uintptr_t)r[REG_RBP]};
}
#else
#define GET_REGISTERS(r)                                    \
  __asm__ volatile("adr %0, .\n\tmov %1, sp\n\tmov %2, x29" \
                   : "=&r"((r)->pc), "=&r"((r)->stack_pointer), "=&r"((r)->frame_pointer))
static uintptr_t thread_pointer(void) { return (uintptr_t)__builtin_thread_pointer(); }
static registers_t interrupted(const ucontext_t* context) {
  const mcontext_t* m = &context->uc_mcontext;
  return (registers_t){m->pc, m->sp, m->regs[29]};
}
#endif

// What bounds the stack that has `at`: a thread's ends with its control block, the first thread's
// where the kernel has put its arguments. Of a stack that the program has made for itself nothing
// is known but the order of its frames.
static uintptr_t stack_end(uintptr_t at) {
  uintptr_t thread = thread_pointer(), end = UINTPTR_MAX;
  if (first_stack_end > at) end = first_stack_end;
  return thread > at && thread < end ? thread : end;
}

static uintptr_t word_at(uintptr_t address) {
  uintptr_t word;
  memcpy(&word, (const void*)address, sizeof word);
  return word;
}

typedef struct walk {
  uintptr_t frames[DEPTH];
  unsigned n;
  unsigned most;
} walk_t;

// To the caller's registers. 1: done; 0: there is none; -1: it is not simple.
static int step(registers_t* at, object_t* object, uintptr_t end) {
  hak_frame_row_t row = row_of(at->pc, object);
  if (row.kind != HAK_ROW_SIMPLE) return row.kind == HAK_ROW_LAST ? 0 : -1;
  uintptr_t from = row.cfa_from_frame_pointer ? at->frame_pointer : at->stack_pointer;
  uintptr_t cfa = from + row.cfa_offset;
  size_t deepest = hak_max_size(row.frame_pointer_below, row.return_below);
  bool is_upwards = cfa > at->stack_pointer && cfa <= end && cfa % sizeof(void*) == 0;
  if (!is_upwards || row.return_below == 0 || cfa - at->stack_pointer < deepest) return -1;
  if (row.frame_pointer_below != 0) at->frame_pointer = word_at(cfa - row.frame_pointer_below);
  at->pc = word_at(cfa - row.return_below) - 1;
  at->stack_pointer = cfa;
  return at->pc + 1 != 0;
}

// By rows, behind what the walk has. False: a frame is not simple.
static bool walk_rows(walk_t* walk, registers_t at) {
  object_t object = {0};
  uintptr_t end = stack_end(at.stack_pointer);
  int result;
  while ((result = step(&at, &object, end)) > 0) {
    walk->frames[walk->n++] = at.pc;
    if (walk->n == walk->most) return true;
  }
  return result == 0;
}

// A return address is that of the instruction after the call, which may be another line's, or
// another function's.
static _Unwind_Reason_Code add_frame(struct _Unwind_Context* context, void* arg) {
  walk_t* walk = arg;
  int is_before = 0;
  uintptr_t ip = get_ip(context, &is_before);
  if (ip == 0) return _URC_END_OF_STACK;
  walk->frames[walk->n++] = is_before ? ip : ip - 1;
  return walk->n == walk->most ? _URC_END_OF_STACK : _URC_NO_REASON;
}

static void walk_libgcc(walk_t* walk) {
  walk->n = 0;
  if (backtrace != NULL) (void)backtrace(add_frame, walk);
}

// ---- getting ready ----

// What it does once it has done then.
static void open_libgcc(void) {
  void* library = dlopen("libgcc_s.so.1", RTLD_NOW);
  if (library == NULL) return;
  get_ip = (get_ip_fn)(uintptr_t)dlsym(library, "_Unwind_GetIPInfo");
  if (get_ip == NULL) return;
  backtrace = (backtrace_fn)(uintptr_t)dlsym(library, "_Unwind_Backtrace");
  walk_t walk = {.most = DEPTH};
  walk_libgcc(&walk);
}

bool hak_unwind_start(void) {
  if (hak_load_acquire(&is_ready)) return true;
  if (&dlopen == NULL || &dlsym == NULL) return false;
  find_object = (find_object_fn)(uintptr_t)dlsym(RTLD_DEFAULT, "_dl_find_object");
  if (find_object == NULL) return false;
  if (kept_rows == NULL) {
    kept_rows = hak_meta_alloc(HAK_PROFILE_ROWS * sizeof *kept_rows, HAK_CACHE_LINE);
  }
  if (kept_rows == NULL) return false;
  const uintptr_t lasts[N_LASTING] = {(uintptr_t)find, getauxval(AT_ENTRY), (uintptr_t)abort};
  for (unsigned i = 0; i < N_LASTING; i++) {
    object_t object = {0};
    if (find(lasts[i], &object)) lasting[i] = object;
  }
  const uintptr_t* end = dlsym(RTLD_DEFAULT, "__libc_stack_end");
  if (end != NULL) first_stack_end = *end;
  is_apart = !is_in(getauxval(AT_ENTRY), &lasting[OWN]);
  open_libgcc();
  hak_store_release(&is_ready, true);
  return true;
}

uintptr_t hak_unwind_object(uintptr_t address) {
  struct dl_find_object found;
  bool is_found = hak_load_acquire(&is_ready) && find_object((void*)address, &found) == 0;
  return is_found ? (uintptr_t)found.dlfo_map_start : 0;
}

// ---- a stack ----

// Walks from `from` on, whose own address is the first frame if it is one that was interrupted.
static void walk_from(walk_t* walk, registers_t from, bool is_interrupted) {
  static hak_thread_local bool is_walking;
  walk->n = 0;
  walk->most = DEPTH;
  if (!hak_load_acquire(&is_ready) || is_walking) return;
  int saved_errno = errno;
  is_walking = true;
  hak_compiler_barrier();
  if (is_interrupted) walk->frames[walk->n++] = from.pc;
  if (!walk_rows(walk, from)) walk_libgcc(walk);
  hak_compiler_barrier();
  is_walking = false;
  errno = saved_errno;
}

// Keeps those from frame `first` on, if it is among them.
static unsigned keep(const walk_t* walk, uintptr_t first, uintptr_t frames[HAK_UNWIND_DEPTH]) {
  unsigned at = 0, n = 0;
  while (at < walk->n && walk->frames[at] != first) at++;
  if (at == walk->n) at = 0;
  while (at < walk->n && is_apart && is_in(walk->frames[at], &lasting[OWN])) at++;
  if (at == walk->n) {
    frames[0] = first;
    return 1;
  }
  while (at < walk->n && n < HAK_UNWIND_DEPTH) frames[n++] = walk->frames[at++];
  return n;
}

hak_noinline unsigned hak_unwind(uintptr_t frames[HAK_UNWIND_DEPTH], const void* caller) {
  walk_t walk;
  registers_t here;
  GET_REGISTERS(&here);
  walk_from(&walk, here, false);
  return keep(&walk, (uintptr_t)caller - 1, frames);
}

unsigned hak_unwind_interrupted(uintptr_t frames[HAK_UNWIND_DEPTH], const void* context) {
  walk_t walk;
  registers_t at = interrupted(context);
  walk_from(&walk, at, true);
  return keep(&walk, at.pc, frames);
}

hak_noinline unsigned hak_unwind_by_rows(uintptr_t* frames, unsigned most) {
  if (!hak_load_acquire(&is_ready)) return 0;
  walk_t walk;
  walk.n = 0;
  walk.most = (unsigned)hak_min_size(most, DEPTH);
  registers_t here;
  GET_REGISTERS(&here);
  if (!walk_rows(&walk, here)) return 0;
  memcpy(frames, walk.frames, walk.n * sizeof *frames);
  return walk.n;
}

hak_noinline unsigned hak_unwind_by_libgcc(uintptr_t* frames, unsigned most) {
  if (!hak_load_acquire(&is_ready)) return 0;
  walk_t walk;
  walk.most = DEPTH;
  walk_libgcc(&walk);
  uintptr_t caller = (uintptr_t)__builtin_return_address(0) - 1;
  unsigned at = 0, n = 0;
  while (at < walk.n && walk.frames[at] != caller) at++;
  while (at < walk.n && n < most) frames[n++] = walk.frames[at++];
  return n;
}

// ---- names ----

void hak_unwind_describe(hak_line_t* line, uintptr_t frame) {
  struct dl_find_object found;
  if (hak_load_acquire(&is_ready) && find_object((void*)frame, &found) == 0) {
    const char* path = found.dlfo_link_map->l_name;
    // (The dynamic linker has none for the program.)
    const char* name = *path != '\0' ? path : program_invocation_short_name;
    const char* slash = strrchr(name, '/');
    hak_line_text(line, slash != NULL ? slash + 1 : name);
    hak_line_text(line, "+");
    frame -= found.dlfo_link_map->l_addr;
  }
  hak_line_hex(line, frame);
}
