// From a text of Android's memory_replay to a trace: see trace_writer.h.

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "workloads/trace_writer.h"

enum { MAX_VALUES = 5, LINE_BYTES = 4096, BUFFER_BYTES = 1 << 20 };

typedef struct text_line {
  uint64_t tid;
  char name[16];
  uint64_t values[MAX_VALUES];
  int value_count;
} text_line;

static bool read_unsigned(const char** text, uint64_t* value) {
  const char* at = *text;
  uint64_t base = 10;
  *value = 0;
  if (at[0] == '0' && at[1] == 'x') {
    at += 2;
    base = 16;
  }
  const char* start = at;
  for (;; at++) {
    uint64_t digit;
    if (*at >= '0' && *at <= '9') {
      digit = (uint64_t)(*at - '0');
    } else if (base == 16 && *at >= 'a' && *at <= 'f') {
      digit = 10 + (uint64_t)(*at - 'a');
    } else {
      break;
    }
    if (*value > (UINT64_MAX - digit) / base) return false;
    *value = *value * base + digit;
  }
  *text = at;
  return at != start;
}

// Reads "<tid>: <name> <value> ...".
static bool read_line(const char* text, text_line* out) {
  if (!read_unsigned(&text, &out->tid) || *text++ != ':' || *text++ != ' ') return false;
  size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz_");
  if (length == 0 || length >= sizeof(out->name)) return false;
  memcpy(out->name, text, length);
  out->name[length] = '\0';
  text += length;
  out->value_count = 0;
  while (*text == ' ' && out->value_count < MAX_VALUES) {
    text++;
    if (!read_unsigned(&text, &out->values[out->value_count++])) return false;
  }
  if (*text == '\r') text++;
  return *text == '\0';
}

// Whether a line is this call, with its `values` or these and `times` behind them.
static bool is_call(const text_line* line, const char* name, int values, int times) {
  return strcmp(line->name, name) == 0 &&
         (line->value_count == values || line->value_count == values + times);
}

static void add_realloc(trace_writer* out, const text_line* line) {
  const uint64_t* values = line->values;
  trace_block old;
  if (values[2] == 0 && values[0] == 0) {
    trace_write_free(out, line->tid, values[1]);
    return;
  }
  trace_write_move_begin(out, values[0] != 0 ? values[1] : 0, &old);
  trace_write_move_end(out, line->tid, &old, values[0], values[2]);
}

// Adds what one line says. Returns NULL, or what is wrong with it.
static const char* add_line(trace_writer* out, const text_line* line) {
  const uint64_t* values = line->values;
  if (is_call(line, "malloc", 2, 2)) {
    trace_write_new(out, TRACE_MALLOC, line->tid, values[0], values[1], 0);
  } else if (is_call(line, "free", 1, 2)) {
    trace_write_free(out, line->tid, values[0]);
  } else if (is_call(line, "calloc", 3, 2)) {
    uint64_t bytes;
    if (__builtin_mul_overflow(values[1], values[2], &bytes)) return "count * size overflows";
    trace_write_new(out, TRACE_CALLOC, line->tid, values[0], bytes, 0);
  } else if (is_call(line, "realloc", 3, 2)) {
    add_realloc(out, line);
  } else if (is_call(line, "memalign", 3, 2)) {
    uint64_t alignment = values[1];
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
      return "the alignment is not a power of two";
    }
    trace_write_new(out, TRACE_MEMALIGN, line->tid, values[0], values[2], alignment);
  } else if (is_call(line, "thread_done", 1, 1)) {
    trace_write_done(out, line->tid);
  } else {
    return "not a call that can be replayed, or with too few or too many values";
  }
  return out->message;
}

static const char* add_text(trace_writer* out, const char* text) {
  text_line line;
  if (text[0] == '\0' || text[0] == '#' || strcmp(text, "\r") == 0) return NULL;
  return read_line(text, &line) ? add_line(out, &line) : "expected \"<tid>: <call> <values>\"";
}

// Lines of the text, one buffer after another.
typedef struct lines {
  int fd;
  char buffer[BUFFER_BYTES + 1];
  size_t from;
  size_t to;
  bool is_end;
} lines;

// The next line, without its end; NULL behind the last, or with errno set.
static char* next_line(lines* self) {
  for (;;) {
    char* from = self->buffer + self->from;
    char* end = memchr(from, '\n', self->to - self->from);
    if (end != NULL || (self->is_end && self->from < self->to)) {
      if (end == NULL) end = self->buffer + self->to;
      *end = '\0';
      self->from = (size_t)(end - self->buffer) + (end < self->buffer + self->to);
      return from;
    }
    errno = self->is_end ? 0 : E2BIG;
    if (self->is_end || (self->from == 0 && self->to == BUFFER_BYTES)) return NULL;
    memmove(self->buffer, from, self->to - self->from);
    self->to -= self->from;
    self->from = 0;
    ssize_t got = read(self->fd, self->buffer + self->to, BUFFER_BYTES - self->to);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return NULL;
    self->is_end = got == 0;
    self->to += (size_t)got;
  }
}

bool trace_from_text(int text_fd, const char* name, int fd, char message[TRACE_MESSAGE_BYTES]) {
  static lines in;
  trace_writer out;
  const char* wrong = NULL;
  uint64_t number = 0;
  in = (lines){.fd = text_fd};
  message[0] = '\0';
  if (!trace_writer_open(&out, fd)) wrong = out.message;
  for (char* text; wrong == NULL && (text = next_line(&in)) != NULL;) {
    number++;
    wrong = add_text(&out, text);
  }
  if (wrong == NULL && errno != 0) wrong = strerror(errno);
  if (wrong != NULL) {
    snprintf(message, TRACE_MESSAGE_BYTES, "%s:%" PRIu64 ": %s", name, number, wrong);
  }
  if (!trace_writer_close(&out) && wrong == NULL) {
    snprintf(message, TRACE_MESSAGE_BYTES, "%s: cannot keep the trace: %s", name, out.message);
  }
  return message[0] == '\0';
}
