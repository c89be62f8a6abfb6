// Command lines of the tools.

#include "tools/common/arguments.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_KEY = 256, OPTIONS_MAX = 32 };

typedef struct parse {
  const argument_syntax* syntax;
  void* into;
  char** words;
  size_t word_count;
} parse;

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

static void store(const argument_option* option, char* value, const parse* self,
                  const struct argp_state* state) {
  void* at = (char*)self->into + option->offset;
  char name[64] = "--";
  double number = 0;
  strncat(name, option->name, sizeof(name) - 3);
  if (option->kind == ARGUMENT_WHOLE || option->kind == ARGUMENT_NUMBER) {
    number = arguments_number(state, name, value, option->min, option->max);
  }
  switch (option->kind) {
    case ARGUMENT_FLAG:
      *(bool*)at = true;
      break;
    case ARGUMENT_TEXT:
      *(const char**)at = value;
      break;
    case ARGUMENT_WHOLE:
      if (number != (int)number) argp_error(state, "%s: '%s' is not a whole number", name, value);
      *(int*)at = (int)number;
      break;
    case ARGUMENT_NUMBER:
      *(double*)at = number;
      break;
  }
}

static error_t take(int key, char* value, struct argp_state* state) {
  parse* self = state->input;
  const argument_syntax* syntax = self->syntax;
  for (size_t i = 0; i < syntax->option_count; i++) {
    const argument_option* option = &syntax->options[i];
    bool is_it = key == FIRST_KEY + (int)i || (option->letter != 0 && key == option->letter);
    if (is_it) store(option, value, self, state);
    if (is_it) return 0;
  }
  if (key == ARGP_KEY_ARGS) {
    self->words = state->argv + state->next;
    self->word_count = (size_t)(state->argc - state->next);
  }
  if (key == ARGP_KEY_END) syntax->finish(self->into, self->words, self->word_count, state);
  return key == ARGP_KEY_ARGS || key == ARGP_KEY_END ? 0 : ARGP_ERR_UNKNOWN;
}

void arguments_parse(const argument_syntax* syntax, int argc, char** argv, void* into) {
  struct argp_option options[OPTIONS_MAX] = {0};
  parse self = {.syntax = syntax, .into = into};
  int group = 0;
  for (size_t i = 0; i < syntax->option_count && i + 1 < OPTIONS_MAX; i++) {
    const argument_option* option = &syntax->options[i];
    if (option->name == NULL) group++;
    const int key = option->name == NULL  ? 0
                    : option->letter != 0 ? option->letter
                                          : FIRST_KEY + (int)i;
    options[i] = (struct argp_option){option->name, key, option->operand, 0, option->help, group};
  }
  const struct argp description = {options, take, syntax->usage, syntax->about, NULL, NULL, NULL};
  argp_err_exit_status = EXIT_BAD_INPUT;
  argp_parse(&description, argc, argv, syntax->ends_at_word ? ARGP_IN_ORDER : 0, NULL, &self);
}
