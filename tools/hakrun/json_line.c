// The line of a place in a JSON text. Walks the text without building anything; what it may assume
// is that a parser has accepted it.

#include "tools/hakrun/json_line.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char* skip_space(const char* at) { return at + strspn(at, " \t\r\n"); }

// From the opening quote to behind the closing one.
static const char* skip_string(const char* at) {
  for (at++; *at != '"' && *at != '\0'; at++) {
    if (*at == '\\' && at[1] != '\0') at++;
  }
  return *at == '"' ? at + 1 : at;
}

static const char* skip_value(const char* at) {
  int depth = 0;
  do {
    at = skip_space(at);
    if (*at == '"') {
      at = skip_string(at);
    } else if (*at == '{' || *at == '[') {
      depth++;
      at++;
    } else if (*at == '}' || *at == ']') {
      depth--;
      at++;
    } else if (*at == ',' || *at == ':') {
      at++;
    } else {
      at += strcspn(at, " \t\r\n,:{}[]\"");
    }
  } while (depth > 0 && *at != '\0');
  return at;
}

static const char* skip_comma(const char* at) {
  at = skip_space(at);
  return *at == ',' ? skip_space(at + 1) : at;
}

// The member `name` of the object at `at`: its key, and its value through `value`. NULL when there
// is none.
static const char* find_member(const char* at, const char* name, size_t length,
                               const char** value) {
  for (at = skip_space(at + 1); *at == '"'; at = skip_comma(skip_value(*value))) {
    const char* end = skip_string(at);
    *value = skip_space(skip_space(end) + 1);
    if ((size_t)(end - at) == length + 2 && memcmp(at + 1, name, length) == 0) return at;
  }
  return NULL;
}

static const char* find_element(const char* at, unsigned long index) {
  at = skip_space(at + 1);
  for (; index > 0 && *at != ']' && *at != '\0'; index--) at = skip_comma(skip_value(at));
  return *at != ']' && *at != '\0' ? at : NULL;
}

static const char* locate(const char* text, const char* path) {
  const char* value = skip_space(text);
  const char* found = value;
  while (*path == '/') {
    const char* name = path + 1;
    size_t length = strcspn(name, "/");
    const char* next = NULL;
    if (*value == '{') {
      next = find_member(value, name, length, &value);
    } else if (*value == '[') {
      next = value = find_element(value, strtoul(name, NULL, 10));
    }
    if (next == NULL) break;
    found = next;
    path = name + length;
  }
  return found;
}

int json_line_of(const char* text, const char* path) {
  const char* found = locate(text, path);
  int line = 1;
  for (; text < found; text++) line += *text == '\n';
  return line;
}
