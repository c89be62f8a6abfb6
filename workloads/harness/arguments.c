// Command lines: parsed, checked and explained from one table. Nothing here allocates.

#include "workloads/harness/arguments.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "workloads/harness/number.h"
#include "workloads/harness/print.h"

int wl_choice_index(const char* choices, const char* word) {
  size_t length = strlen(word);
  for (int index = 0;; index++) {
    size_t candidate = strcspn(choices, "|");
    if (candidate == length && memcmp(choices, word, length) == 0) return index;
    if (choices[candidate] == '\0') return -1;
    choices += candidate + 1;
  }
}

static bool store(const wl_option* option, const char* shown_name, const char* text,
                  char message[WL_MESSAGE_BYTES]) {
  switch (option->kind) {
    case WL_NUMBER: {
      uint64_t number;
      if (!wl_parse_number(text, &number)) {
        snprintf(message, WL_MESSAGE_BYTES,
                 "%s: '%s' is not a whole number (8192, 1e7 and 64k are)", shown_name, text);
        return false;
      }
      if (number < option->min || number > option->max) {
        snprintf(message, WL_MESSAGE_BYTES, "%s: %s is outside %" PRIu64 "..%" PRIu64, shown_name,
                 text, option->min, option->max);
        return false;
      }
      *(uint64_t*)option->value = number;
      return true;
    }
    case WL_CHOICE: {
      int index = wl_choice_index(option->operand, text);
      if (index < 0) {
        snprintf(message, WL_MESSAGE_BYTES, "%s: '%s' is not one of %s", shown_name, text,
                 option->operand);
        return false;
      }
      *(unsigned*)option->value = (unsigned)index;
      return true;
    }
    case WL_TEXT:
      if (text[0] == '\0') {
        snprintf(message, WL_MESSAGE_BYTES, "%s: must not be empty", shown_name);
        return false;
      }
      *(const char**)option->value = text;
      return true;
    case WL_FLAG:
      *(bool*)option->value = true;
      return true;
  }
  return false;
}

static const wl_option* find(const wl_option* options, size_t count, const char* name,
                             size_t length) {
  for (size_t i = 0; i < count; i++) {
    if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0) {
      return &options[i];
    }
  }
  return NULL;
}

// Parses argv[*index], an argument that starts with "--", and what belongs to it.
static bool parse_named(const wl_syntax* syntax, int argc, char** argv, int* index,
                        char message[WL_MESSAGE_BYTES]) {
  const char* argument = argv[*index];
  const char* name = argument + 2;
  size_t length = strcspn(name, "=");
  const char* attached = name[length] == '=' ? name + length + 1 : NULL;
  const wl_option* option = find(syntax->options, syntax->option_count, name, length);
  if (option == NULL) option = find(syntax->common, syntax->common_count, name, length);
  if (option == NULL) {
    snprintf(message, WL_MESSAGE_BYTES, "unknown option %s", argument);
    return false;
  }
  char shown_name[64];
  snprintf(shown_name, sizeof(shown_name), "--%s", option->name);
  if (option->kind == WL_FLAG) {
    if (attached != NULL) {
      snprintf(message, WL_MESSAGE_BYTES, "%s takes no value", shown_name);
      return false;
    }
    return store(option, shown_name, "", message);
  }
  if (attached == NULL) {
    if (*index + 1 >= argc) {
      snprintf(message, WL_MESSAGE_BYTES, "%s needs a value: %s", shown_name, option->operand);
      return false;
    }
    attached = argv[++*index];
  }
  return store(option, shown_name, attached, message);
}

wl_parse_result wl_parse_options(const wl_syntax* syntax, int argc, char** argv,
                                 char message[WL_MESSAGE_BYTES]) {
  size_t positional = 0;
  bool options_ended = false;
  message[0] = '\0';
  for (int i = 1; i < argc; i++) {
    const char* argument = argv[i];
    if (!options_ended && (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0)) {
      return WL_HELP_WANTED;
    }
    if (!options_ended && strcmp(argument, "--") == 0) {
      options_ended = true;
    } else if (!options_ended && strncmp(argument, "--", 2) == 0) {
      if (!parse_named(syntax, argc, argv, &i, message)) return WL_BAD_ARGUMENT;
    } else if (!options_ended && argument[0] == '-' && argument[1] != '\0' &&
               (argument[1] < '0' || argument[1] > '9')) {
      snprintf(message, WL_MESSAGE_BYTES, "unknown option %s", argument);
      return WL_BAD_ARGUMENT;
    } else if (positional == syntax->positional_count) {
      snprintf(message, WL_MESSAGE_BYTES, "unexpected argument '%s'", argument);
      return WL_BAD_ARGUMENT;
    } else {
      const wl_option* option = &syntax->positionals[positional++];
      if (!store(option, option->name, argument, message)) return WL_BAD_ARGUMENT;
    }
  }
  return WL_PARSED;
}

void wl_print_usage(const wl_syntax* syntax, int fd) {
  wl_print(fd, "usage: %s", syntax->program);
  for (size_t i = 0; i < syntax->positional_count; i++) {
    wl_print(fd, " [%s", syntax->positionals[i].name);
  }
  for (size_t i = 0; i < syntax->positional_count; i++) wl_print(fd, "]");
  wl_print(fd, " [options]    (--help lists them)\n");
}

static void print_default(const wl_option* option, int fd) {
  switch (option->kind) {
    case WL_NUMBER:
      if (*(const uint64_t*)option->value != WL_UNSET) {
        wl_print(fd, " (default %" PRIu64 ")", *(const uint64_t*)option->value);
      }
      break;
    case WL_CHOICE: {
      const char* word = option->operand;
      for (unsigned i = *(const unsigned*)option->value; i > 0; i--) word = strchr(word, '|') + 1;
      wl_print(fd, " (default %.*s)", (int)strcspn(word, "|"), word);
      break;
    }
    case WL_TEXT:
    case WL_FLAG:
      break;
  }
}

static void print_rows(const wl_option* options, size_t count, const char* dashes, int fd) {
  for (size_t i = 0; i < count; i++) {
    char left[64];
    snprintf(left, sizeof(left), "%s%s%s%s", dashes, options[i].name,
             options[i].operand != NULL && dashes[0] != '\0' ? " " : "",
             options[i].operand != NULL && dashes[0] != '\0' ? options[i].operand : "");
    wl_print(fd, "  %-30s %s", left, options[i].help);
    print_default(&options[i], fd);
    wl_print(fd, "\n");
  }
}

void wl_print_help(const wl_syntax* syntax, int fd) {
  wl_print_usage(syntax, fd);
  wl_print(fd, "\n%s\n\n", syntax->about);
  print_rows(syntax->positionals, syntax->positional_count, "", fd);
  print_rows(syntax->options, syntax->option_count, "--", fd);
  print_rows(syntax->common, syntax->common_count, "--", fd);
  wl_print(fd, "  %-30s %s\n", "--help", "print this");
  wl_print(fd,
           "\nNumbers: 8192, 1e7, 2.5e6, 0x2a; k, m and g multiply by 1024, 1024^2, 1024^3.\n"
           "Exit code: 0 ok, 1 the run failed, 2 bad arguments.\n");
}
