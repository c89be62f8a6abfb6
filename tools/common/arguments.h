// Command lines of the tools: argp's, with the exit code 2 for what is wrong.

#ifndef HAKMEM_TOOLS_COMMON_ARGUMENTS_H_
#define HAKMEM_TOOLS_COMMON_ARGUMENTS_H_

#include <argp.h>

enum { EXIT_BAD_INPUT = 2 };

// argp_parse. `usage` is what follows the tool's name, `about` its text for --help. Ends the
// process where all is said, or something is wrong.
void arguments_parse(const struct argp_option* options, argp_parser_t parser, const char* usage,
                     const char* about, unsigned flags, int argc, char** argv, void* input);

// The number that --option was given: decimal, an exponent and "%" allowed. Ends the process with a
// message unless it lies in min..max.
double arguments_number(const struct argp_state* state, const char* option, const char* text,
                        double min, double max);

// The same of whole numbers.
int arguments_whole(const struct argp_state* state, const char* option, const char* text, int min,
                    int max);

#endif  // HAKMEM_TOOLS_COMMON_ARGUMENTS_H_
