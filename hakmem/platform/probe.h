// Probes: places that a tracer (bpftrace, perf, an eBPF profiler) may be told of, without being
// linked or loaded here. While nobody asks, one is a load, a comparison and a branch.
//
// A probe is a `nop`, and a note in the file that says where that is and in which registers its
// arguments are: what <sys/sdt.h> of SystemTap makes, in its version 3, which is what readers know
// as USDT (https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation). Written here, for
// it is little, and so builds with any libc and without that header. The *semaphore* is a count,
// which the tracer, or the kernel for it, raises while it listens.

#ifndef HAKMEM_PROBE_H_
#define HAKMEM_PROBE_H_

#include "hakmem/base/base.h"

// Of a function that has a probe, and of its semaphore: a linker that leaves out what is not used
// (--gc-sections) leaves it in. The note stays in any case, and gold refuses one that says where
// something is that is not there.
#if __has_attribute(retain)
#define HAK_HAS_PROBE __attribute__((used, retain))
#else
#define HAK_HAS_PROBE __attribute__((used))
#endif

// Defines the semaphore of a probe. Once, in the file that has the probe.
#define HAK_PROBE_DEFINE(provider, name) \
  HAK_HAS_PROBE                          \
  __attribute__((section(".probes"))) static uint16_t volatile provider##_##name##_semaphore = 0

#define hak_probe_is_on(provider, name) hak_unlikely(provider##_##name##_semaphore != 0)

// The note's name, three addresses, three strings. `arguments`: of each its bytes, an @, and where
// it is in the assembler's words.
#define HAK_PROBE_TEXT(provider, name, arguments)                                      \
  "990: nop\n"                                                                         \
  ".reloc 990b, BFD_RELOC_NONE, _.stapsdt.base\n" /* or --gc-sections leaves it out */ \
  ".pushsection .note.stapsdt, \"\", %%note\n"                                         \
  ".balign 4\n"                                                                        \
  ".4byte 992f - 991f, 994f - 993f, 3\n"                                               \
  "991: .asciz \"stapsdt\"\n"                                                          \
  "992: .balign 4\n"                                                                   \
  "993: .8byte 990b, _.stapsdt.base, " #provider "_" #name                             \
  "_semaphore\n"                                                                       \
  ".asciz \"" #provider "\", \"" #name "\", \"" arguments                              \
  "\"\n"                                                                               \
  "994: .balign 4\n"                                                                   \
  ".popsection\n"                                                                      \
  ".ifndef _.stapsdt.base\n"                                                           \
  ".pushsection .stapsdt.base, \"aG\", %%progbits, .stapsdt.base, comdat\n"            \
  ".weak _.stapsdt.base\n"                                                             \
  ".hidden _.stapsdt.base\n"                                                           \
  "_.stapsdt.base: .space 1\n"                                                         \
  ".size _.stapsdt.base, 1\n"                                                          \
  ".popsection\n"                                                                      \
  ".endif\n"

// A probe of one argument, of three; each of 64 bits, without a sign.
#define HAK_PROBE_1(provider, name, a) \
  __asm__ volatile(HAK_PROBE_TEXT(provider, name, "8@%0") : : "r"((uint64_t)(a)))
#define HAK_PROBE_3(provider, name, a, b, c)                        \
  __asm__ volatile(HAK_PROBE_TEXT(provider, name, "8@%0 8@%1 8@%2") \
                   :                                                \
                   : "r"((uint64_t)(a)), "r"((uint64_t)(b)), "r"((uint64_t)(c)))

#endif  // HAKMEM_PROBE_H_
