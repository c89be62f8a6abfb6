// hakrun's command line: argp's table, and compare's options as an experiment in JSON.

#include "tools/hakrun/hakrun_arguments.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <wordexp.h>

#include "tools/common/arguments.h"
#include "tools/common/text_format.h"

static const char kUsage[] = "EXPERIMENT\ncompare --with ALLOCATOR,ALLOCATOR... -- COMMAND...";

static const char kAbout[] =
    "Runs an experiment, a JSON file or the name of a shipped one: every workload under every "
    "phase, interleaved, each with proof of its allocator. Records go to "
    "results/EXPERIMENT/TIME.jsonl; hakplot draws them.\v"
    "compare runs COMMAND on several allocators (hakmem, glibc, mimalloc, jemalloc, tcmalloc, or "
    "the path of a library), the first being the baseline.";

enum {
  KEY_RUNS = 256,
  KEY_OUT,
  KEY_ONLY,
  KEY_LIST,
  KEY_DRY,
  KEY_WITH,
  KEY_PREPARE,
  KEY_RATE,
  KEY_RATE_PATH,
  KEY_SERVER,
  KEY_READY,
  KEY_LEFT,
  KEY_IN_TURN,
  KEY_SAVE,
  KEY_PRECISION,
  KEY_TIME
};

static const struct argp_option kOptions[] = {
    {"runs", KEY_RUNS, "N", 0, "runs of each workload and phase", 0},
    {"precision", KEY_PRECISION, "PERCENT", 0,
     "runs until all ratios to the baseline are known that well, 1000 at most or --runs", 0},
    {"max-time", KEY_TIME, "SECONDS", 0, "no new round after that", 0},
    {"out", KEY_OUT, "DIR", 0, "folder for records (default: results)", 0},
    {"save", KEY_SAVE, "NAME", 0, "name the records, for `hakplot history': TIME otherwise", 0},
    {"only", KEY_ONLY, "LABEL", 0, "only this phase, or this workload", 0},
    {"list", KEY_LIST, NULL, 0, "list the shipped experiments", 0},
    {"dry-run", KEY_DRY, NULL, 0, "check and print the commands only", 0},
    {NULL, 0, NULL, 0, "compare:", 1},
    {"with", KEY_WITH, "A,B...", 0, "the allocators (default: hakmem,glibc)", 1},
    {"prepare", KEY_PREPARE, "LINE", 0, "a line for sh before each run", 1},
    {"rate", KEY_RATE, "REGEX", 0,
     "the command's figure a second, the first group of what this finds last in its output; else "
     "its time is compared",
     1},
    {"rate-path", KEY_RATE_PATH, "KEY.KEY", 0, "the same, from JSON in its output", 1},
    {"server", KEY_SERVER, "LINE", 0,
     "what the allocators serve instead: started before COMMAND, its client, and ended after it",
     1},
    {"ready", KEY_READY, "LINE", 0, "a line for sh that succeeds when the server answers", 1},
    {"left", KEY_LEFT, NULL, 0, "look at the server's memory 1, 5 and 15 s after the work, too", 1},
    {"in-turn", KEY_IN_TURN, NULL, 0,
     "run one after the other, and compare by the clock, what has one thread, too", 1},
    {0},
};

static error_t take_option(int key, char* value, struct argp_state* state) {
  hakrun_options* self = state->input;
  switch (key) {
    case KEY_RUNS:
      self->runs = arguments_whole(state, "--runs", value, 1, 10000);
      return 0;
    case KEY_PRECISION:
      self->precision = arguments_number(state, "--precision", value, 0.01, 100) / 100;
      return 0;
    case KEY_TIME:
      self->max_time_s = arguments_number(state, "--max-time", value, 1, 1e6);
      return 0;
    case KEY_OUT:
      self->out = value;
      return 0;
    case KEY_ONLY:
      self->only = value;
      return 0;
    case KEY_LIST:
      self->list = true;
      return 0;
    case KEY_DRY:
      self->dry_run = true;
      return 0;
    case KEY_WITH:
      self->with = value;
      return 0;
    case KEY_PREPARE:
      self->prepare = value;
      return 0;
    case KEY_RATE:
      self->rate = value;
      return 0;
    case KEY_RATE_PATH:
      self->rate_path = value;
      return 0;
    case KEY_SERVER:
      self->server = value;
      return 0;
    case KEY_READY:
      self->ready = value;
      return 0;
    case KEY_LEFT:
      self->wants_left = true;
      return 0;
    case KEY_IN_TURN:
      self->in_turn = true;
      return 0;
    case KEY_SAVE:
      self->save = value;
      if (value[0] == '\0' || value[0] == '.' || strchr(value, '/') != NULL) {
        argp_error(state, "--save: '%s' cannot name a file", value);
      }
      return 0;
    case ARGP_KEY_ARGS:
      self->experiment = state->argv[state->next];
      self->command = &state->argv[state->next + 1];
      return 0;
    case ARGP_KEY_END:
      break;
    default:
      return ARGP_ERR_UNKNOWN;
  }
  bool is_compare = self->experiment != NULL && strcmp(self->experiment, "compare") == 0;
  if (self->experiment == NULL && !self->list) {
    argp_error(state, "EXPERIMENT is missing (--list shows those shipped)");
  } else if (is_compare && self->command[0] == NULL) {
    argp_error(state, "compare: COMMAND is missing");
  } else if (!is_compare && self->experiment != NULL && self->command[0] != NULL) {
    argp_error(state, "unexpected argument '%s'", self->command[0]);
  } else if (!is_compare && (self->with != NULL || self->prepare != NULL || self->rate != NULL ||
                             self->rate_path != NULL || self->server != NULL ||
                             self->ready != NULL || self->wants_left || self->in_turn)) {
    argp_error(state, "--with and the options below it belong to compare");
  }
  if (!is_compare) self->command = NULL;
  return 0;
}

void hakrun_parse(hakrun_options* chosen, int argc, char** argv) {
  arguments_parse(kOptions, take_option, kUsage, kAbout, 0, argc, argv, chosen);
}

// ---- compare as an experiment ----

static void set_text(json_t* object, const char* key, const char* text) {
  if (text != NULL) json_object_set_new(object, key, json_string(text));
}

// The words of a line, as a shell would split it, without running anything.
static json_t* split_words(const char* line) {
  wordexp_t words;
  json_t* list = json_array();
  if (wordexp(line, &words, WRDE_NOCMD) != 0) return list;
  for (size_t i = 0; i < words.we_wordc; i++) {
    json_array_append_new(list, json_string(words.we_wordv[i]));
  }
  wordfree(&words);
  return list;
}

char* hakrun_compare_text(const hakrun_options* chosen) {
  json_t* words = json_array();
  json_t* phases = json_array();
  char* title = text_format("%s", chosen->command[0]);
  for (char** word = chosen->command; *word != NULL; word++) {
    json_array_append_new(words, json_string(*word));
    if (word == chosen->command) continue;
    char* longer = text_format("%s %s", title, *word);
    free(title);
    title = longer;
  }
  for (const char* at = chosen->with != NULL ? chosen->with : "hakmem,glibc"; *at != '\0';) {
    size_t length = strcspn(at, ",");
    json_array_append_new(phases, json_pack("{s:o}", "allocator", json_stringn(at, length)));
    at += length + (at[length] == ',');
  }
  json_t* workload = json_pack("{s:o}", "command", words);
  set_text(workload, "prepare", chosen->prepare);
  set_text(workload, "rate", chosen->rate);
  set_text(workload, "rate_path", chosen->rate_path);
  set_text(workload, "ready", chosen->ready);
  if (chosen->server != NULL) json_object_set_new(workload, "server", split_words(chosen->server));
  if (chosen->wants_left) json_object_set_new(workload, "left", json_true());
  json_t* root =
      json_pack("{s:s, s:[o], s:o}", "title", title, "workloads", workload, "phases", phases);
  char* text = root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL;
  json_decref(root);
  free(title);
  return text;
}
