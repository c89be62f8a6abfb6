// Command lines of the tools.

#include "tools/common/arguments.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void arguments_parse(const struct argp_option* options, argp_parser_t parser, const char* usage,
                     const char* about, unsigned flags, int argc, char** argv, void* input) {
  const struct argp description = {options, parser, usage, about, NULL, NULL, NULL};
  argp_err_exit_status = EXIT_BAD_INPUT;
  argp_parse(&description, argc, argv, flags, NULL, input);
}

double arguments_number(const struct argp_state* state, const char* option, const char* text,
                        double min, double max) {
  char* end;
  double value = strtod(text, &end);
  if (*end == '%') end++;
  // strtod takes hexadecimal, blanks and names too.
  bool is_plain = text[strspn(text, "0123456789.eE+-%")] == '\0';
  if (!is_plain || end == text || *end != '\0' || !(value >= min && value <= max)) {
    argp_error(state, "%s: '%s' is not a number from %.10g to %.10g", option, text, min, max);
  }
  return value;
}

int arguments_whole(const struct argp_state* state, const char* option, const char* text, int min,
                    int max) {
  double value = arguments_number(state, option, text, min, max);
  if (value != (int)value) argp_error(state, "%s: '%s' is not a whole number", option, text);
  return (int)value;
}
