// Command lines of the tools: a table of options, parsed by argp. What is wrong ends the process
// with exit code 2.

#ifndef HAKMEM_TOOLS_COMMON_ARGUMENTS_H_
#define HAKMEM_TOOLS_COMMON_ARGUMENTS_H_

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>

enum { EXIT_BAD_INPUT = 2 };

typedef enum argument_kind {
  ARGUMENT_FLAG,    // bool: true where it is there
  ARGUMENT_TEXT,    // const char*
  ARGUMENT_WHOLE,   // int
  ARGUMENT_NUMBER,  // double
} argument_kind;

typedef struct argument_option {
  const char* name;  // "runs" for --runs; NULL: `help` heads the options below it
  char letter;       // 'o' for -o; 0: none
  argument_kind kind;
  size_t offset;  // where its value goes in the tool's structure
  double min;     // of numbers
  double max;
  const char* operand;  // what --help shows behind the name
  const char* help;
} argument_option;

typedef struct argument_syntax {
  const argument_option* options;
  size_t option_count;
  const char* usage;  // what follows the tool's name
  const char* about;  // its text for --help; behind \v what stands below the options
  bool ends_at_word;  // options behind the first word that is none are that word's
  // Takes the words that are no options, and checks the whole; argp_error ends the process.
  void (*finish)(void* into, char** words, size_t count, const struct argp_state* state);
} argument_syntax;

// Fills the tool's structure, which holds the defaults. Ends the process where all is said, or
// something is wrong.
void arguments_parse(const argument_syntax* syntax, int argc, char** argv, void* into);

// The number of that text: decimal, an exponent and "%" allowed. Ends the process with a message
// that names `option` unless it lies in min..max.
double arguments_number(const struct argp_state* state, const char* option, const char* text,
                        double min, double max);

#endif  // HAKMEM_TOOLS_COMMON_ARGUMENTS_H_
