// The experiment: its JSON is checked key by key, and every allocator and program in it found.

#define _GNU_SOURCE  // CPU_SET

#include "tools/hakrun/experiment.h"

#include <errno.h>
#include <jansson.h>
#include <regex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/common/places.h"
#include "tools/common/text_format.h"
#include "tools/hakrun/json_line.h"

static const char kFolder[] = "workloads/experiments";
static const char kSuffix[] = ".json";

// What is being read. `path` names the place in the JSON text that is looked at, like
// "/phases/1/env".
typedef struct reader {
  experiment* out;
  char* message;  // what is wrong, when something is
  char path[256];
} reader;

// ---- errors and places ----

static bool wrong(reader* self, const char* format, ...) __attribute__((format(printf, 2, 3)));

static bool wrong(reader* self, const char* format, ...) {
  char what[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof(what), format, arguments);
  va_end(arguments);
  bool is_root = self->path[0] == '\0';
  self->message =
      text_format("%s:%d: %s%s%s", self->out->path, json_line_of(self->out->text, self->path),
                  is_root ? "" : self->path + 1, is_root ? "" : ": ", what);
  return false;
}

// Goes down to a member or an element; `leave` goes back up.
static void enter(reader* self, const char* name) {
  size_t length = strlen(self->path);
  snprintf(self->path + length, sizeof(self->path) - length, "/%s", name);
}

static void enter_element(reader* self, size_t index) {
  char number[24];
  snprintf(number, sizeof(number), "%zu", index);
  enter(self, number);
}

static void leave(reader* self) { *strrchr(self->path, '/') = '\0'; }

static bool check_keys(reader* self, json_t* object, const char* known) {
  const char* key;
  json_t* value;
  if (!json_is_object(object)) return wrong(self, "must be an object");
  json_object_foreach(object, key, value) {
    const char* found = strstr(known, key);
    size_t length = strlen(key);
    bool is_known = length > 0 && strchr(key, ' ') == NULL && found != NULL &&
                    (found == known || found[-1] == ' ') &&
                    (found[length] == ' ' || found[length] == '\0');
    if (is_known) continue;
    enter(self, key);
    return wrong(self, "unknown key; known are: %s", known);
  }
  return true;
}

// ---- single values ----

static bool read_text(reader* self, json_t* object, const char* key, const char** out) {
  json_t* value = json_object_get(object, key);
  if (value == NULL) return wrong(self, "\"%s\" is missing", key);
  enter(self, key);
  if (!json_is_string(value) || json_string_length(value) == 0) {
    return wrong(self, "must be a text that is not empty");
  }
  *out = json_string_value(value);
  leave(self);
  return true;
}

// An optional text.
static bool read_option(reader* self, json_t* object, const char* key, const char** out) {
  return json_object_get(object, key) == NULL || read_text(self, object, key, out);
}

// Keeps `*out` where the key is absent.
static bool read_integer(reader* self, json_t* object, const char* key, int min, int max,
                         int* out) {
  json_t* value = json_object_get(object, key);
  if (value == NULL) return true;
  enter(self, key);
  json_int_t number = json_integer_value(value);
  if (!json_is_integer(value) || number < min || number > max) {
    return wrong(self, "must be a whole number from %d to %d", min, max);
  }
  *out = (int)number;
  leave(self);
  return true;
}

// `*out` is false where the key is absent.
static bool read_flag(reader* self, json_t* object, const char* key, bool* out) {
  json_t* value = json_object_get(object, key);
  *out = json_is_true(value);
  if (value == NULL || json_is_boolean(value)) return true;
  enter(self, key);
  return wrong(self, "must be true or false");
}

// A text, or a number or boolean as its text.
static const char* as_text(json_t* value) {
  if (json_is_string(value)) return json_string_value(value);
  if (!json_is_number(value) && !json_is_boolean(value)) return NULL;
  return json_dumps(value, JSON_ENCODE_ANY);
}

// "0-3,6" into a set. Only processors that this process may use.
static bool read_processors(reader* self, json_t* object) {
  cpu_set_t allowed;
  const char* text = NULL;
  if (!read_option(self, object, "pin", &text)) return false;
  if (text == NULL) return true;
  enter(self, "pin");
  CPU_ZERO(&self->out->processors);
  sched_getaffinity(0, sizeof(allowed), &allowed);
  for (const char* at = text;; at++) {
    char* end;
    unsigned long first = strtoul(at, &end, 10);
    unsigned long last = first;
    bool is_number = end > at;
    if (*end == '-') {
      at = end + 1;
      last = strtoul(at, &end, 10);
      is_number &= end > at && last >= first;
    }
    at = end;
    if (!is_number || (*at != ',' && *at != '\0')) {
      return wrong(self, "'%s' is not a list of processors like 0-3,6", text);
    }
    for (unsigned long i = first; i <= last; i++) {
      if (i >= CPU_SETSIZE || !CPU_ISSET(i, &allowed)) {
        return wrong(self, "processor %lu is not there", i);
      }
      CPU_SET(i, &self->out->processors);
    }
    if (*at == '\0') break;
  }
  self->out->pin = text;
  leave(self);
  return true;
}

void experiment_make_duet(experiment* self) {
  size_t last = CPU_SETSIZE - 1;
  self->is_duet = true;
  sched_getaffinity(0, sizeof(self->processors), &self->processors);
  while (last > 0 && !CPU_ISSET(last, &self->processors)) last--;
  CPU_ZERO(&self->processors);
  CPU_SET(last, &self->processors);
  self->pin = text_format("%zu", last);
}

// A duet has one processor: the one that is named, or else the last that this process may use.
static bool choose_processor(reader* self) {
  experiment* out = self->out;
  if (!out->is_duet) return true;
  if (out->pin == NULL) experiment_make_duet(out);
  if (CPU_COUNT(&out->processors) == 1) return true;
  enter(self, "pin");
  return wrong(self, "a duet shares one processor; '%s' are %d", out->pin,
               CPU_COUNT(&out->processors));
}

// ---- workloads and phases ----

// "$NAME/rest" with the variable's value in the place of $NAME; another word as it is. NULL where
// there is no such variable.
static const char* expand(const char* word) {
  if (word[0] != '$') return word;
  char* name = text_format("%.*s", (int)strcspn(word + 1, "/"), word + 1);
  const char* value = getenv(name);
  const char* rest = word + 1 + strlen(name);
  free(name);
  return value != NULL ? text_format("%s%s", value, rest) : NULL;
}

// The words of a workload's arguments may begin with a variable: files that only the user has.
static bool expand_args(reader* self, experiment_workload* workload) {
  for (size_t i = 0; i < workload->arg_count; i++) {
    const char* word = workload->args[i];
    workload->args[i] = expand(word);
    if (workload->args[i] != NULL) continue;
    enter(self, "args");
    enter_element(self, i);
    return wrong(self, "the variable %.*s is not set", (int)strcspn(word, "/"), word);
  }
  return true;
}

static bool read_args(reader* self, json_t* object, const char* key, const char** words,
                      size_t* count) {
  size_t index;
  json_t* value;
  json_t* list = json_object_get(object, key);
  if (list == NULL) return true;
  enter(self, key);
  if (!json_is_array(list)) return wrong(self, "must be a list");
  json_array_foreach(list, index, value) {
    enter_element(self, index);
    if (index == EXPERIMENT_MAX_ARGS) return wrong(self, "more than %zu arguments", index);
    words[index] = as_text(value);
    if (words[index] == NULL) return wrong(self, "must be a text or a number");
    leave(self);
  }
  *count = json_array_size(list);
  leave(self);
  return true;
}

static bool find_workload(reader* self, const experiment_workload* workload) {
  char* target = text_format("workloads/%s_system", workload->name);
  char* program = strchr(workload->name, '/') == NULL ? places_find(target) : NULL;
  free(target);
  free(program);
  if (program != NULL) return true;
  enter(self, "name");
  return wrong(self, "there is no workload '%s'", workload->name);
}

// Where PATH has a program.
static char* find_program(const char* name) {
  const char* path = getenv("PATH");
  if (strchr(name, '/') != NULL) return access(name, X_OK) == 0 ? realpath(name, NULL) : NULL;
  for (const char* at = path != NULL ? path : "/usr/bin:/bin"; *at != '\0';) {
    size_t length = strcspn(at, ":");
    char* found = text_format("%.*s/%s", (int)length, at, name);
    if (access(found, X_OK) == 0) return found;
    free(found);
    at += length + (at[length] == ':');
  }
  return NULL;
}

// What the command becomes where the program that is measured is a server.
static bool read_server(reader* self, json_t* object, experiment_workload* workload) {
  bool is_server = json_object_get(object, "server") != NULL;
  if (!is_server && (workload->ready != NULL || workload->wants_left)) {
    return wrong(self, "ready and left belong to a server");
  }
  if (!is_server) return true;
  enter(self, "server");
  if (self->out->is_duet) return wrong(self, "servers are in each other's way: no duet");
  leave(self);
  memcpy(workload->client, workload->args, workload->arg_count * sizeof(char*));
  return read_args(self, object, "server", workload->args, &workload->arg_count);
}

// "command", a list, or "shell", a line for sh.
static bool read_command(reader* self, json_t* object, experiment_workload* workload) {
  const char* line = NULL;
  regex_t rate;
  if (!read_args(self, object, "command", workload->args, &workload->arg_count) ||
      !read_option(self, object, "shell", &line) ||
      !read_option(self, object, "prepare", &workload->prepare) ||
      !read_option(self, object, "ready", &workload->ready) ||
      !read_option(self, object, "rate_path", &workload->rate_path) ||
      !read_flag(self, object, "left", &workload->wants_left) ||
      !read_option(self, object, "rate", &workload->rate)) {
    return false;
  }
  if (workload->rate != NULL && workload->rate_path != NULL) {
    return wrong(self, "rate and rate_path exclude each other");
  }
  if (line != NULL) {
    if (workload->arg_count > 0) return wrong(self, "command and shell exclude each other");
    const char* const words[] = {"sh", "-c", line};
    for (size_t i = 0; i < 3; i++) workload->args[workload->arg_count++] = words[i];
  }
  const char* name = workload->arg_count > 0 ? workload->args[0] : "";
  if (!read_server(self, object, workload)) return false;
  bool is_server = workload->client[0] != NULL;
  enter(self, is_server ? "server" : line != NULL ? "shell" : "command");
  if (workload->arg_count == 0) return wrong(self, "must name a program");
  workload->program = find_program(workload->args[0]);
  if (workload->program == NULL) return wrong(self, "there is no program '%s'", workload->args[0]);
  leave(self);
  if (workload->rate != NULL) {
    enter(self, "rate");
    bool is_good = regcomp(&rate, workload->rate, REG_EXTENDED) == 0 && rate.re_nsub >= 1;
    if (!is_good) return wrong(self, "must be a regular expression with a group");
    regfree(&rate);
    leave(self);
  }
  const char* slash = strrchr(name, '/');
  workload->name = slash != NULL ? slash + 1 : name;
  memmove(&workload->args[0], &workload->args[1], --workload->arg_count * sizeof(char*));
  return true;
}

static bool read_workload(reader* self, json_t* object, experiment_workload* workload) {
  bool is_named = json_object_get(object, "name") != NULL;
  if (!check_keys(self, object,
                  is_named ? "name label args"
                           : "command shell prepare server ready rate rate_path left label")) {
    return false;
  }
  bool is_command =
      json_object_get(object, "command") != NULL || json_object_get(object, "shell") != NULL;
  if (is_command
          ? !read_command(self, object, workload)
          : !read_text(self, object, "name", &workload->name) || !find_workload(self, workload) ||
                !read_args(self, object, "args", workload->args, &workload->arg_count) ||
                !expand_args(self, workload)) {
    return false;
  }
  workload->label = workload->name;
  return read_option(self, object, "label", &workload->label);
}

static bool read_env(reader* self, json_t* object, experiment_phase* phase) {
  const char* key;
  json_t* value;
  if (object == NULL) return true;
  enter(self, "env");
  if (!json_is_object(object)) return wrong(self, "must be an object");
  json_object_foreach(object, key, value) {
    const char* text = as_text(value);
    enter(self, key);
    if (text == NULL) return wrong(self, "must be a text or a number");
    if (key[0] == '\0' || strchr(key, '=') != NULL) return wrong(self, "not a variable's name");
    if (strcmp(key, "LD_PRELOAD") == 0) return wrong(self, "name the library as allocator instead");
    if (phase->env_count == EXPERIMENT_MAX_ENV) return wrong(self, "too many variables");
    phase->env[phase->env_count++] = text_format("%s=%s", key, text);
    leave(self);
  }
  leave(self);
  return true;
}

// Sets kind, expected name and library from the phase's "allocator".
static bool resolve_allocator(reader* self, experiment_phase* phase) {
  const allocator* known = allocator_named(phase->allocator);
  enter(self, "allocator");
  if (known == NULL && strchr(phase->allocator, '/') == NULL) {
    return wrong(self,
                 "'%s' is none of hakmem, hakmem-static, system, glibc, mimalloc, jemalloc, "
                 "tcmalloc, void, list, nor the path of a library",
                 phase->allocator);
  }
  phase->kind = known != NULL ? known->kind : ALLOCATOR_LIBRARY;
  phase->expected = known != NULL ? known->expected : NULL;
  phase->library = known != NULL ? allocator_library(known) : realpath(phase->allocator, NULL);
  if (phase->library == NULL && known == NULL) {
    return wrong(self, "%s: %s", phase->allocator, strerror(errno));
  }
  if (phase->library == NULL && phase->kind == ALLOCATOR_HAKMEM) {
    return wrong(self, "libhakmem.so is not built");
  }
  if (phase->library == NULL && phase->kind == ALLOCATOR_LIBRARY) {
    return wrong(self, "%s is not installed (Debian: apt-get install %s)", phase->allocator,
                 known->package);
  }
  leave(self);
  return true;
}

static bool read_phase(reader* self, json_t* object, experiment_phase* phase) {
  if (!check_keys(self, object, "label allocator env telemetry") ||
      !read_text(self, object, "allocator", &phase->allocator)) {
    return false;
  }
  phase->label = phase->allocator;
  return read_option(self, object, "label", &phase->label) &&
         read_flag(self, object, "telemetry", &phase->wants_telemetry) &&
         resolve_allocator(self, phase) && read_env(self, json_object_get(object, "env"), phase);
}

// A list of objects, of which none has the label of another. `read` reads one into the experiment
// and returns its label; NULL: it is wrong.
static bool read_list(reader* self, json_t* root, const char* key, size_t max,
                      const char* (*read)(reader* self, json_t* object, size_t index)) {
  const char* labels[EXPERIMENT_MAX_PHASES + EXPERIMENT_MAX_WORKLOADS];
  json_t* list = json_object_get(root, key);
  size_t index;
  json_t* object;
  if (list == NULL) return wrong(self, "\"%s\" is missing", key);
  enter(self, key);
  if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > max) {
    return wrong(self, "must be a list of 1 to %zu objects", max);
  }
  json_array_foreach(list, index, object) {
    enter_element(self, index);
    labels[index] = read(self, object, index);
    if (labels[index] == NULL) return false;
    for (size_t i = 0; i < index; i++) {
      if (strcmp(labels[i], labels[index]) != 0) continue;
      return wrong(self, "a second %.*s labelled '%s'", (int)strlen(key) - 1, key, labels[index]);
    }
    leave(self);
  }
  leave(self);
  return true;
}

static const char* take_workload(reader* self, json_t* object, size_t index) {
  experiment_workload* workload = &self->out->workloads[index];
  workload->index = index;
  self->out->workload_count = index + 1;
  return read_workload(self, object, workload) ? workload->label : NULL;
}

static const char* take_phase(reader* self, json_t* object, size_t index) {
  experiment_phase* phase = &self->out->phases[index];
  phase->index = index;
  self->out->phase_count = index + 1;
  return read_phase(self, object, phase) ? phase->label : NULL;
}

static bool check_duet(reader* self) {
  if (!self->out->is_duet || self->out->phase_count > 1) return true;
  enter(self, "duet");
  return wrong(self, "there is one phase only");
}

// ---- the file ----

static bool has_json_suffix(const char* name) {
  size_t length = strlen(name);
  return length > strlen(kSuffix) && strcmp(name + length - strlen(kSuffix), kSuffix) == 0;
}

static char* read_file(const char* path) {
  FILE* file = fopen(path, "re");
  char* text = NULL;
  size_t capacity = 0;
  if (file == NULL) return NULL;
  ssize_t length = getdelim(&text, &capacity, '\0', file);
  int error = ferror(file) ? errno : 0;
  fclose(file);
  if (error != 0) {
    free(text);
    errno = error;
    return NULL;
  }
  return length < 0 ? calloc(1, 1) : text;
}

static char* name_of_file(const char* path) {
  const char* slash = strrchr(path, '/');
  const char* name = slash != NULL ? slash + 1 : path;
  size_t length = strlen(name);
  if (has_json_suffix(name)) length -= strlen(kSuffix);
  return text_format("%.*s", (int)length, name);
}

char* experiment_read(const char* path, experiment* out) {
  char* text = read_file(path);
  if (text == NULL) return text_format("%s: %s", path, strerror(errno));
  return experiment_parse(path, name_of_file(path), text, out);
}

char* experiment_parse(const char* path, const char* name, const char* text, experiment* out) {
  json_error_t error;
  *out = (experiment){
      .path = path, .name = name, .text = text, .runs = 10, .warmup_runs = 1, .timeout_s = 300};
  json_t* root = json_loads(out->text, JSON_REJECT_DUPLICATES, &error);
  if (root == NULL) return text_format("%s:%d: not valid JSON: %s", path, error.line, error.text);
  reader self = {.out = out};
  bool is_right =
      check_keys(&self, root,
                 "title runs warmup_runs timeout_s sample_ms pin duet workloads phases") &&
      read_text(&self, root, "title", &out->title) &&
      read_integer(&self, root, "runs", 1, 10000, &out->runs) &&
      read_integer(&self, root, "warmup_runs", 0, 100, &out->warmup_runs) &&
      read_integer(&self, root, "timeout_s", 1, 86400, &out->timeout_s) &&
      read_integer(&self, root, "sample_ms", 5, 60000, &out->sample_ms) &&
      read_flag(&self, root, "duet", &out->is_duet) && read_processors(&self, root) &&
      choose_processor(&self) &&
      read_list(&self, root, "workloads", EXPERIMENT_MAX_WORKLOADS, take_workload) &&
      read_list(&self, root, "phases", EXPERIMENT_MAX_PHASES, take_phase) && check_duet(&self);
  return is_right ? NULL : self.message;
}

char* experiment_add_phases(experiment* self, const char* list) {
  for (const char* at = list; *at != '\0';) {
    size_t length = strcspn(at, ",");
    size_t label_length = strcspn(at, "=,");
    char* label = text_format("%.*s", (int)label_length, at);
    if (label_length == 0 || label_length + 1 >= length ||
        self->phase_count == EXPERIMENT_MAX_PHASES) {
      return text_format("'%.*s' is not LABEL=LIBRARY, or one too many", (int)length, at);
    }
    char* path = text_format("%.*s", (int)(length - label_length - 1), at + label_length + 1);
    char* library = realpath(path, NULL);
    if (library == NULL) return text_format("%s: %s", path, strerror(errno));
    for (size_t i = 0; i < self->phase_count; i++) {
      if (strcmp(self->phases[i].label, label) == 0)
        return text_format("a second phase '%s'", label);
    }
    self->phases[self->phase_count] = (experiment_phase){.index = self->phase_count,
                                                         .label = label,
                                                         .allocator = path,
                                                         .kind = ALLOCATOR_LIBRARY,
                                                         .library = library};
    self->phase_count++;
    at += length + (at[length] == ',');
  }
  return NULL;
}

char* experiment_shipped_folder(void) { return places_find(kFolder); }

char* experiment_find(const char* argument) {
  if (access(argument, F_OK) == 0) return text_format("%s", argument);
  if (strchr(argument, '/') != NULL) return NULL;
  char* target =
      text_format("%s/%s%s", kFolder, argument, has_json_suffix(argument) ? "" : kSuffix);
  char* found = places_find(target);
  free(target);
  return found;
}

bool experiment_is_limit(const experiment_phase* phase) {
  return phase->kind == ALLOCATOR_VOID || phase->kind == ALLOCATOR_LIST;
}

bool experiment_has_pair(const experiment_workload* workload, const experiment_phase* phase) {
  if (workload->program != NULL) {
    return !experiment_is_limit(phase) && phase->kind != ALLOCATOR_HAKMEM_STATIC;
  }
  return !experiment_is_limit(phase) || strcmp(workload->name, "random_mixed") == 0;
}

bool experiment_select(experiment* self, const char* label) {
  size_t kept = 0;
  for (size_t i = 0; i < self->phase_count; i++) {
    if (strcmp(self->phases[i].label, label) == 0) self->phases[kept++] = self->phases[i];
  }
  if (kept > 0) {
    self->phase_count = kept;
    return true;
  }
  for (size_t i = 0; i < self->workload_count; i++) {
    if (strcmp(self->workloads[i].label, label) == 0) self->workloads[kept++] = self->workloads[i];
  }
  if (kept > 0) self->workload_count = kept;
  return kept > 0;
}
