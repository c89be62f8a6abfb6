// The few kinds of field of a protocol buffer that a profile needs, and its messages.
//
// (https://github.com/google/pprof/blob/main/proto/profile.proto, by whose names of fields the
// numbers below go.)

#include "hakmem/profile/pprof.h"

#include <string.h>

#include "hakmem/profile/modules.h"
#include "hakmem/profile/samples.h"

// ---- protocol buffers ----

// A message that is put together apart, since its length comes before it. The longest is a sample:
// a stack's locations, of five bytes each at the most, and 14 values of ten.
typedef struct message {
  size_t length;
  char bytes[640];
} message_t;

static void put_byte(message_t* message, unsigned byte) {
  if (message->length < sizeof message->bytes) message->bytes[message->length++] = (char)byte;
}

static void put_varint(message_t* message, uint64_t value) {
  for (; value >= 0x80; value >>= 7) put_byte(message, 0x80 | (unsigned)(value & 0x7f));
  put_byte(message, (unsigned)value);
}

enum { VARINT = 0, BYTES = 2 };  // wire types

static void put_tag(message_t* message, unsigned field, unsigned wire_type) {
  put_varint(message, field << 3 | wire_type);
}

static void put_number(message_t* message, unsigned field, uint64_t value) {
  if (value == 0) return;  // as if it were not there
  put_tag(message, field, VARINT);
  put_varint(message, value);
}

static void write_bytes(hak_text_t* text, unsigned field, const char* bytes, size_t length) {
  message_t head = {.length = 0};
  put_tag(&head, field, BYTES);
  put_varint(&head, length);
  hak_text_put(text, head.bytes, head.length);
  hak_text_put(text, bytes, length);
}

static void write_message(hak_text_t* text, unsigned field, const message_t* message) {
  write_bytes(text, field, message->bytes, message->length);
}

static void write_number(hak_text_t* text, unsigned field, uint64_t value) {
  message_t message = {.length = 0};
  put_number(&message, field, value);
  hak_text_put(text, message.bytes, message.length);
}

// ---- pprof's messages ----

enum {  // the fields of Profile
  SAMPLE_TYPE = 1,
  SAMPLE = 2,
  MAPPING = 3,
  LOCATION = 4,
  STRING_TABLE = 6,
  DROP_FRAMES = 7,
  TIME_NANOS = 9,
  PERIOD_TYPE = 11,
  PERIOD = 12,
  DEFAULT_SAMPLE_TYPE = 14,
};

// The table of strings begins with these; behind them come two of each module, its path and its
// build id.
enum {
  NONE,
  COUNT,
  UNIT_BYTES,
  SPACE,
  DROP,
  TALLIES,  // two of each tally, its objects and its space
  N_STRINGS = TALLIES + 2 * HAK_N_TALLIES
};

// Whatever calls of the allocator's own are left at the end of a stack.
#define OWN_FUNCTIONS                                                        \
  ("(hak|own)_.*|(__libc_)?(malloc|calloc|realloc|memalign|valloc|pvalloc)|" \
   "reallocarray|aligned_alloc|posix_memalign|operator new.*")

static void write_string(hak_text_t* text, const char* string) {
  write_bytes(text, STRING_TABLE, string, strlen(string));
}

static void write_strings(hak_text_t* text) {
  write_string(text, "");
  write_string(text, "count");
  write_string(text, "bytes");
  write_string(text, "space");
  write_string(text, OWN_FUNCTIONS);
  for (hak_tally_kind_t kind = 0; kind < HAK_N_TALLIES; kind++) {
    for (unsigned is_space = 0; is_space < 2; is_space++) {
      char name[HAK_TALLY_NAME_BYTES];
      write_string(text, hak_tally_name(kind, is_space != 0, name));
    }
  }
}

static void write_type(hak_text_t* text, unsigned field, unsigned type, unsigned unit) {
  message_t message = {.length = 0};
  put_number(&message, 1, type);
  put_number(&message, 2, unit);
  write_message(text, field, &message);
}

static void write_stack(hak_text_t* text, const hak_stack_t* stack) {
  message_t numbers = {.length = 0}, message = {.length = 0};
  for (unsigned i = 0; i < stack->n_frames; i++) {
    put_varint(&numbers, hak_stacks_number(stack->frames[i]));
  }
  put_tag(&message, 1, BYTES);
  put_varint(&message, numbers.length);
  for (size_t i = 0; i < numbers.length; i++) put_byte(&message, (unsigned char)numbers.bytes[i]);
  numbers.length = 0;
  hak_tally_t tallies[HAK_N_TALLIES];
  hak_samples_tallies(stack, tallies);
  for (unsigned kind = 0; kind < HAK_N_TALLIES; kind++) {
    put_varint(&numbers, hak_tally_objects(&tallies[kind]));
    put_varint(&numbers, tallies[kind].bytes);
  }
  put_tag(&message, 2, BYTES);
  put_varint(&message, numbers.length);
  for (size_t i = 0; i < numbers.length; i++) put_byte(&message, (unsigned char)numbers.bytes[i]);
  write_message(text, SAMPLE, &message);
}

static void write_location(uintptr_t address, uint32_t number, void* text) {
  message_t message = {.length = 0};
  put_number(&message, 1, number);
  put_number(&message, 2, hak_modules_find(address));
  put_number(&message, 3, address);
  write_message(text, LOCATION, &message);
}

static void write_module(hak_text_t* text, size_t number) {
  const hak_module_t* module = hak_module(number);
  uint64_t name = N_STRINGS + 2 * (number - 1);
  message_t message = {.length = 0};
  put_number(&message, 1, number);
  put_number(&message, 2, module->begin);
  put_number(&message, 3, module->end);
  put_number(&message, 4, module->file_offset);
  put_number(&message, 5, name);
  put_number(&message, 6, module->build_id_bytes != 0 ? name + 1 : NONE);
  write_message(text, MAPPING, &message);
}

static void write_build_id(hak_text_t* text, const hak_module_t* module) {
  char hex[HAK_BUILD_ID_HEX_BYTES];
  write_string(text, hak_module_build_id(module, hex));
}

void hak_pprof_write(hak_text_t* text, const hak_profile_head_t* head) {
  for (unsigned kind = 0; kind < HAK_N_TALLIES; kind++) {
    write_type(text, SAMPLE_TYPE, TALLIES + 2 * kind, COUNT);
    write_type(text, SAMPLE_TYPE, TALLIES + 2 * kind + 1, UNIT_BYTES);
  }
  for (const hak_stack_t* at = hak_stacks_all(); at != NULL; at = at->next) write_stack(text, at);
  for (size_t i = 1; i <= hak_modules_count(); i++) write_module(text, i);
  hak_stacks_visit_addresses(write_location, text);
  write_strings(text);
  for (size_t i = 1; i <= hak_modules_count(); i++) {
    write_string(text, hak_module(i)->name);
    write_build_id(text, hak_module(i));
  }
  write_number(text, DROP_FRAMES, DROP);
  write_number(text, TIME_NANOS, head->time_ns);
  write_type(text, PERIOD_TYPE, SPACE, UNIT_BYTES);
  write_number(text, PERIOD, head->interval);
  write_number(text, DEFAULT_SAMPLE_TYPE, TALLIES + 2 * HAK_TALLY_INUSE + 1);
}
