// Command lines described by a table: parsing, checking and help come from the same rows. Workloads
// do not use argp, as the tools do, since it allocates: what malloc did before the clock would
// differ from one command line to the other.

#ifndef HAKMEM_WORKLOADS_HARNESS_ARGUMENTS_H_
#define HAKMEM_WORKLOADS_HARNESS_ARGUMENTS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum wl_option_kind {
  WL_NUMBER,  // value: uint64_t*, checked against min..max
  WL_CHOICE,  // value: unsigned*, index into the words of `operand`, which are separated by '|'
  WL_TEXT,    // value: const char**
  WL_FLAG,    // value: bool*, set to true
} wl_option_kind;

// The default of a number that the program derives from others when it is not given; the help shows
// none.
#define WL_UNSET UINT64_MAX

typedef struct wl_option {
  const char* name;  // "threads" for --threads; positional arguments are in capitals: "OPS"
  wl_option_kind kind;
  void* value;          // holds the default until the command line says otherwise
  const char* operand;  // what the help shows after the name; the words of a choice
  uint64_t min;
  uint64_t max;
  const char* help;
} wl_option;

// A command line: positional arguments may be left out from the right.
typedef struct wl_syntax {
  const char* program;
  const char* about;  // one or two sentences for --help
  const wl_option* positionals;
  size_t positional_count;
  const wl_option* options;  // the program's own
  size_t option_count;
  const wl_option* common;  // those that several programs share
  size_t common_count;
} wl_syntax;

typedef enum wl_parse_result { WL_PARSED, WL_HELP_WANTED, WL_BAD_ARGUMENT } wl_parse_result;

enum { WL_MESSAGE_BYTES = 512 };

// Stores the values. On WL_BAD_ARGUMENT `message` names the argument and what is wrong with it.
wl_parse_result wl_parse_options(const wl_syntax* syntax, int argc, char** argv,
                                 char message[WL_MESSAGE_BYTES]);

// The index of `word` among the '|'-separated words of `choices`, or -1.
int wl_choice_index(const char* choices, const char* word);

// Write to a file descriptor: one line of usage; the whole help.
void wl_print_usage(const wl_syntax* syntax, int fd);
void wl_print_help(const wl_syntax* syntax, int fd);

#endif  // HAKMEM_WORKLOADS_HARNESS_ARGUMENTS_H_
