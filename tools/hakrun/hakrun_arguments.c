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

#define AT(member) offsetof(hakrun_options, member)

static const argument_option kOptions[] = {
    {"runs", 0, ARGUMENT_WHOLE, AT(runs), 1, 10000, "N", "runs of each workload and phase"},
    {"precision", 0, ARGUMENT_NUMBER, AT(precision), 0.01, 100, "PERCENT",
     "runs until all ratios to the baseline are known that well, 1000 at most or --runs"},
    {"max-time", 0, ARGUMENT_NUMBER, AT(max_time_s), 1, 1e6, "SECONDS", "no new round after that"},
    {"out", 0, ARGUMENT_TEXT, AT(out), 0, 0, "DIR", "folder for records (default: results)"},
    {"save", 0, ARGUMENT_TEXT, AT(save), 0, 0, "NAME",
     "name the records, for `hakplot history': TIME otherwise"},
    {"only", 0, ARGUMENT_TEXT, AT(only), 0, 0, "LABEL", "only this phase, or this workload"},
    {"also", 0, ARGUMENT_TEXT, AT(also), 0, 0, "LABEL=LIBRARY,...",
     "further phases: allocators of your own, to be preloaded"},
    {"list", 0, ARGUMENT_FLAG, AT(list), 0, 0, NULL, "list the shipped experiments"},
    {"dry-run", 0, ARGUMENT_FLAG, AT(dry_run), 0, 0, NULL, "check and print the commands only"},
    {.help = "compare:"},
    {"with", 0, ARGUMENT_TEXT, AT(with), 0, 0, "A,B...", "the allocators (default: hakmem,glibc)"},
    {"prepare", 0, ARGUMENT_TEXT, AT(prepare), 0, 0, "LINE", "a line for sh before each run"},
    {"rate", 0, ARGUMENT_TEXT, AT(rate), 0, 0, "REGEX",
     "the command's figure a second, the first group of what this finds last in its output; else "
     "its time is compared"},
    {"rate-path", 0, ARGUMENT_TEXT, AT(rate_path), 0, 0, "KEY.KEY",
     "the same, from JSON in its output"},
    {"server", 0, ARGUMENT_TEXT, AT(server), 0, 0, "LINE",
     "what the allocators serve instead: started before COMMAND, its client, and ended after it"},
    {"ready", 0, ARGUMENT_TEXT, AT(ready), 0, 0, "LINE",
     "a line for sh that succeeds when the server answers"},
    {"left", 0, ARGUMENT_FLAG, AT(wants_left), 0, 0, NULL,
     "look at the server's memory 1, 5 and 15 s after the work, too"},
    {"in-turn", 0, ARGUMENT_FLAG, AT(in_turn), 0, 0, NULL,
     "run one after the other, and compare by the clock, what has one thread, too"},
};

static void finish(void* into, char** words, size_t count, const struct argp_state* state) {
  hakrun_options* self = into;
  bool is_compare = count > 0 && strcmp(words[0], "compare") == 0;
  const char* save = self->save;
  if (count == 0 && !self->list) {
    argp_error(state, "EXPERIMENT is missing (--list shows those shipped)");
  } else if (is_compare && count == 1) {
    argp_error(state, "compare: COMMAND is missing");
  } else if (!is_compare && count > 1) {
    argp_error(state, "unexpected argument '%s'", words[1]);
  } else if (!is_compare && (self->with != NULL || self->prepare != NULL || self->rate != NULL ||
                             self->rate_path != NULL || self->server != NULL ||
                             self->ready != NULL || self->wants_left || self->in_turn)) {
    argp_error(state, "--with and the options below it belong to compare");
  } else if (save != NULL && (save[0] == '\0' || save[0] == '.' || strchr(save, '/') != NULL)) {
    argp_error(state, "--save: '%s' cannot name a file", save);
  }
  if (count > 0) self->experiment = words[0];
  if (is_compare) self->command = words + 1;
  self->precision /= 100;
}

void hakrun_parse(hakrun_options* chosen, int argc, char** argv) {
  static const argument_syntax kSyntax = {
      kOptions, sizeof(kOptions) / sizeof(kOptions[0]), kUsage, kAbout, false, finish};
  arguments_parse(&kSyntax, argc, argv, chosen);
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
