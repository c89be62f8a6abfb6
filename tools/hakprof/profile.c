// The file, protocol buffers, and pprof's messages.

#include "tools/hakprof/profile.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

// ---- protocol buffers: fields of a number and a varint, or bytes ----

typedef struct bytes {
  const uint8_t* at;
  const uint8_t* end;
} bytes_t;

typedef struct field {
  uint64_t number;
  uint64_t value;  // of a varint
  bytes_t bytes;   // or these
} field_t;

// A function as the profile has it.
typedef struct named {
  uint64_t id;
  const char* name;
  const char* file;
} named_t;

typedef struct reader {
  pf_profile* profile;
  bytes_t all;
  const char** strings;
  size_t string_count;
  named_t* functions;
  size_t function_count;
  const char* error;  // the first; nothing is read after it
} reader_t;

static bool fail(reader_t* self, const char* error) {
  if (self->error == NULL) self->error = error;
  return false;
}

static bool take_varint(reader_t* self, bytes_t* from, uint64_t* value) {
  *value = 0;
  for (unsigned shift = 0; from->at < from->end && shift < 64; shift += 7) {
    uint8_t byte = *from->at++;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return fail(self, "it ends within a number, or is no profile of pprof's format");
}

// The next field of a message; false at its end and after an error.
static bool next(reader_t* self, bytes_t* message, field_t* field) {
  enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };
  uint64_t tag;
  if (self->error != NULL || message->at == message->end) return false;
  if (!take_varint(self, message, &tag)) return false;
  *field = (field_t){.number = tag >> 3};
  uint64_t size = (tag & 7) == FIXED64 ? 8 : (tag & 7) == FIXED32 ? 4 : 0;
  if ((tag & 7) == VARINT) return take_varint(self, message, &field->value);
  if ((tag & 7) == BYTES && !take_varint(self, message, &size)) return false;
  if (size == 0 && (tag & 7) != BYTES) return fail(self, "it is no profile of pprof's format");
  if (size > (size_t)(message->end - message->at)) return fail(self, "it ends too early");
  field->bytes = (bytes_t){message->at, message->at + size};
  message->at += size;
  return true;
}

// The numbers of a repeated field, one or packed. False where there are no more.
static bool next_number(reader_t* self, field_t* field, bool* is_first, uint64_t* value) {
  bool is_single = field->bytes.at == NULL && *is_first;
  *is_first = false;
  if (is_single) *value = field->value;
  return is_single ||
         (field->bytes.at != field->bytes.end && take_varint(self, &field->bytes, value));
}

// The numbers of a message by their fields, of those below `count`: what is not there is 0.
static void take_numbers(reader_t* self, bytes_t message, uint64_t* numbers, size_t count) {
  field_t field;
  memset(numbers, 0, count * sizeof(*numbers));
  while (next(self, &message, &field)) {
    if (field.number < count) numbers[field.number] = field.value;
  }
}

// ---- pprof's messages ----

static const char* string(reader_t* self, uint64_t number) {
  if (number < self->string_count) return self->strings[number];
  fail(self,
       hp_format("it refers to text %llu, of %zu", (unsigned long long)number, self->string_count));
  return "";
}

static void take_string(reader_t* self, const field_t* field) {
  size_t size = (size_t)(field->bytes.end - field->bytes.at);
  *hp_push(self->strings, self->string_count) = hp_clean((const char*)field->bytes.at, size);
}

static void take_type(reader_t* self, const field_t* field) {
  pf_profile* profile = self->profile;
  uint64_t at[3];
  take_numbers(self, field->bytes, at, 3);
  pf_type type = {string(self, at[1]), string(self, at[2]), PF_NONE};
  *hp_push(profile->types, profile->type_count) = type;
}

// "inuse_objects" and "inuse_space" are twins.
static void find_twins(pf_profile* profile) {
  static const char* const kEnds[] = {"_space", "_objects"};
  for (size_t i = 0; i < 2 * profile->type_count; i++) {
    pf_type* type = &profile->types[i / 2];
    size_t length = strlen(type->name), end = strlen(kEnds[i % 2]);
    if (length < end || strcmp(type->name + length - end, kEnds[i % 2]) != 0) continue;
    const char* other = kEnds[1 - i % 2];
    type->twin =
        pf_type_named(profile, hp_format("%.*s%s", (int)(length - end), type->name, other));
  }
}

static void take_mapping(reader_t* self, const field_t* field) {
  pf_profile* profile = self->profile;
  uint64_t at[7];
  take_numbers(self, field->bytes, at, 7);
  pf_mapping mapping = {at[1], at[2], at[3], at[4], string(self, at[5]), string(self, at[6])};
  *hp_push(profile->mappings, profile->mapping_count) = mapping;
}

static void take_function(reader_t* self, const field_t* field) {
  uint64_t at[5];
  take_numbers(self, field->bytes, at, 5);
  named_t named = {at[1], string(self, at[2]), string(self, at[4])};
  *hp_push(self->functions, self->function_count) = named;
}

static int by_id(const void* a, const void* b) {
  uint64_t left = *(const uint64_t*)a, right = *(const uint64_t*)b;
  return left < right ? -1 : left > right;
}

// Sorts things that begin with their ids.
static void sort(reader_t* self, void* things, size_t count, size_t size, const char* what) {
  if (count > 0) qsort(things, count, size, by_id);
  for (size_t i = 1; i < count; i++) {
    const uint64_t* id = (const uint64_t*)((const char*)things + i * size);
    if (by_id(id, (const char*)id - size) != 0) continue;
    fail(self, hp_format("%s %llu is there twice", what, (unsigned long long)*id));
  }
}

static void* find(reader_t* self, void* things, size_t count, size_t size, uint64_t id,
                  const char* what) {
  void* found = count > 0 ? bsearch(&id, things, count, size, by_id) : NULL;
  if (found == NULL) {
    fail(self,
         hp_format("it refers to %s %llu, which it does not have", what, (unsigned long long)id));
  }
  return found;
}

// A frame that the profile itself names.
static void take_line(reader_t* self, bytes_t message, pf_location* location) {
  uint64_t at[3];
  take_numbers(self, message, at, 3);
  const named_t* named =
      find(self, self->functions, self->function_count, sizeof(*named), at[1], "function");
  if (named == NULL) return;
  const char* module = location->mapping != NULL ? pf_base_name(location->mapping->path) : "";
  const char* file = pf_base_name(named->file);
  if (location->frame_count > 0) location->frames[location->frame_count - 1].is_inlined = true;
  *hp_push(location->frames, location->frame_count) = (pf_frame){
      .function = pf_function_named(self->profile, named->name, module),
      .place = file[0] != '\0' ? hp_format("%s:%llu", file, (unsigned long long)at[2]) : ""};
}

static void take_location(reader_t* self, const field_t* of) {
  enum { LINE = 4 };
  pf_profile* profile = self->profile;
  pf_location location = {0};
  field_t field;
  uint64_t at[4];
  take_numbers(self, of->bytes, at, 4);
  location.id = at[1];
  location.address = at[3];
  if (at[2] != 0) {
    location.mapping =
        find(self, profile->mappings, profile->mapping_count, sizeof(pf_mapping), at[2], "mapping");
  }
  if (location.mapping != NULL && location.address - location.mapping->start >=
                                      location.mapping->limit - location.mapping->start) {
    location.mapping = NULL;  // it is not in there
  }
  for (bytes_t message = of->bytes; next(self, &message, &field);) {
    if (field.number == LINE) take_line(self, field.bytes, &location);
  }
  *hp_push(profile->locations, profile->location_count) = location;
}

static void take_sample(reader_t* self, const field_t* of) {
  enum { LOCATION = 1, VALUE = 2 };
  pf_profile* profile = self->profile;
  pf_sample sample = {.values = hp_alloc(profile->type_count * sizeof(double))};
  size_t values = 0;
  field_t field;
  for (bytes_t message = of->bytes; next(self, &message, &field);) {
    bool is_first = true;
    uint64_t number;
    while (field.number == LOCATION && next_number(self, &field, &is_first, &number)) {
      *hp_push(sample.locations, sample.location_count) =
          find(self, profile->locations, profile->location_count, sizeof(pf_location), number,
               "location");
    }
    while (field.number == VALUE && next_number(self, &field, &is_first, &number)) {
      if (values < profile->type_count) sample.values[values] = (double)(int64_t)number;
      values++;
    }
  }
  *hp_push(profile->samples, profile->sample_count) = sample;
  if (values != profile->type_count) {
    fail(self, hp_format("sample %zu has %zu values, of %zu types", profile->sample_count, values,
                         profile->type_count));
  }
}

static void each(reader_t* self, uint64_t number, void (*take)(reader_t*, const field_t*)) {
  field_t field;
  for (bytes_t message = self->all; next(self, &message, &field);) {
    if (field.number == number) take(self, &field);
  }
}

const char* pf_decode(pf_profile* profile, const uint8_t* bytes, size_t size) {
  enum { TYPE = 1, SAMPLE = 2, MAPPING = 3, LOCATION = 4, FUNCTION = 5, STRING = 6 };
  enum { TIME_NANOS = 9, PERIOD = 12, NUMBERS = 13 };
  reader_t self = {.profile = profile, .all = {bytes, bytes + size}};
  uint64_t numbers[NUMBERS];
  profile->functions = hp_map_new();
  take_numbers(&self, self.all, numbers, NUMBERS);
  profile->interval = numbers[PERIOD] != 0 ? (double)numbers[PERIOD] : NAN;
  profile->time_s = numbers[TIME_NANOS] != 0 ? (double)numbers[TIME_NANOS] / 1e9 : NAN;
  // What is referred to comes first, in whichever order it stands there.
  each(&self, STRING, take_string);
  each(&self, TYPE, take_type);
  find_twins(profile);
  each(&self, FUNCTION, take_function);
  sort(&self, self.functions, self.function_count, sizeof(named_t), "function");
  each(&self, MAPPING, take_mapping);
  sort(&self, profile->mappings, profile->mapping_count, sizeof(pf_mapping), "mapping");
  each(&self, LOCATION, take_location);
  sort(&self, profile->locations, profile->location_count, sizeof(pf_location), "location");
  each(&self, SAMPLE, take_sample);
  if (self.error == NULL && profile->type_count == 0) fail(&self, "it has no types of values");
  return self.error;
}

// ---- the file ----

const char* pf_read(pf_profile* profile, const char* path) {
  enum { PIECE = 1 << 16, BYTES_MAX = 1 << 30 };
  char* bytes = NULL;
  size_t size = 0;
  gzFile file = gzopen(path, "rbe");
  if (file == NULL) return strerror(errno);
  FILE* unpacked = open_memstream(&bytes, &size);
  if (unpacked == NULL) {
    gzclose(file);
    return strerror(errno);
  }
  char* piece = hp_alloc(PIECE);
  int got;
  size_t total = 0;
  while ((got = gzread(file, piece, PIECE)) > 0 && (total += (size_t)got) <= BYTES_MAX) {
    fwrite(piece, 1, (size_t)got, unpacked);
  }
  int code;
  const char* error = gzerror(file, &code);
  error = got >= 0 ? NULL : code == Z_ERRNO ? strerror(errno) : hp_format("%s", error);
  if (total > BYTES_MAX) error = "it is larger than 1 GiB";
  gzclose(file);
  if (fclose(unpacked) != 0) error = strerror(errno);
  profile->name = hp_clean(path, strlen(path));
  if (error == NULL) error = pf_decode(profile, (const uint8_t*)bytes, size);
  free(bytes);
  return error;
}

// ---- what it says ----

int pf_type_named(const pf_profile* profile, const char* name) {
  for (size_t i = 0; i < profile->type_count; i++) {
    if (strcmp(profile->types[i].name, name) == 0) return (int)i;
  }
  return PF_NONE;
}

const pf_function* pf_function_named(pf_profile* profile, const char* name, const char* module) {
  const char* key = hp_format("%s\t%s", name, module);
  pf_function* function = hp_put(profile->functions, key, sizeof(*function))->thing;
  if (function->name == NULL) *function = (pf_function){name, module};
  return function;
}

const char* pf_base_name(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

void pf_take_frames(pf_profile* profile, bool (*is_skipped)(const char* name)) {
  for (size_t i = 0; i < profile->sample_count; i++) {
    pf_sample* sample = &profile->samples[i];
    for (size_t l = 0; l < sample->location_count; l++) {
      const pf_location* location = sample->locations[l];
      for (size_t f = 0; f < location->frame_count && sample->frame_count < PF_FRAMES_MAX; f++) {
        *hp_push(sample->frames, sample->frame_count) = &location->frames[f];
      }
    }
    for (; sample->frame_count > 1; sample->frames++, sample->frame_count--) {
      if (!is_skipped(sample->frames[0]->function->name)) break;
    }
  }
}

double pf_variance(const pf_profile* profile, const pf_sample* sample, int type) {
  const pf_type* of = &profile->types[type];
  double value = sample->values[type], interval = profile->interval;
  double other = of->twin != PF_NONE ? sample->values[of->twin] : 0;
  bool is_bytes = strcmp(of->unit, "bytes") == 0;
  double size = is_bytes ? value / other : other / value;
  if (isnan(interval) || (!is_bytes && of->twin == PF_NONE)) return NAN;
  if (!(value > 0)) return 0;
  // S / (exp(S/R) - 1) is R at 0.
  if (!(isfinite(size) && size > 0)) return is_bytes ? value * interval : NAN;
  double each = 1 / expm1(size / interval);
  return is_bytes ? value * size * each : value * each;
}
