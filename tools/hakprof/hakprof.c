// hakprof: its command line; reads profiles, names addresses, and shows who holds the memory.
//
// Exit status: 0; 1 where writing failed; 2 for bad arguments, files that were not understood and
// values that a profile does not have.

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "tools/common/arguments.h"
#include "tools/common/places.h"
#include "tools/hakplot/draw.h"
#include "tools/hakplot/gnuplot.h"
#include "tools/hakplot/table.h"
#include "tools/hakplot/term.h"
#include "tools/hakprof/flame.h"
#include "tools/hakprof/history.h"
#include "tools/hakprof/reports.h"
#include "tools/hakprof/symbols.h"

enum { EXIT_FAILED = 1 };

typedef struct options {
  const struct command* command;
  char** files;
  size_t file_count;
  pf_profile* profiles;  // what is in them
  const char* value;     // NULL: not said
  const char* skip;
  const char* folder;
  const char* out;
  double least;  // per cent
  int frames;
  bool is_json;
} options;

// The C++ library's and the allocator's own, by whichever name: what they allocate, their caller
// holds.
static const char kSkip[] =
    "(std|__gnu_cxx)::.*|operator "
    "new.*|(m|c|re|v|pv)alloc|reallocarray|(aligned_|posix_mem|mem)al.*";

static const char kUsage[] =
    "top|tree|leaks|lifetimes|folded FILE\ndiff BEFORE AFTER\nflame [BEFORE] FILE -o OUT\nhistory "
    "FILE... [-o DIR]";

static const char kAbout[] =
    "Shows who holds the memory, from profiles that hakmem's heap profiler writes "
    "(HAKMEM_PROFILE=512K,FILE.pb), or others in pprof's format.\v"
    "top: by function, what it allocates itself and with those it calls.\n"
    "tree: from the outermost calls on.\n"
    "leaks: what lives, by site.\n"
    "lifetimes: how soon it is freed, by site.\n"
    "diff: what has grown and shrunk, by site; ~ where it may be chance.\n"
    "folded: stacks for flame graph tools.\n"
    "flame: a picture (OUT.svg) or a page with zoom and search (OUT.html); with BEFORE its colours "
    "say what has grown.\n"
    "history: what functions hold over time, of profiles in that order, in the terminal or drawn "
    "by "
    "gnuplot in DIR.";

#define AT(member) offsetof(options, member)

static const argument_option kOptions[] = {
    {"value", 0, ARGUMENT_TEXT, AT(value), 0, 0, "NAME",
     "in place of inuse_space: alloc_space, peak_space, ... as the profile has it"},
    {"least", 0, ARGUMENT_NUMBER, AT(least), 0, 100, "PERCENT",
     "leave out of text what is less than that of all (default 1; top: callers, than ten times "
     "that)"},
    {"frames", 0, ARGUMENT_WHOLE, AT(frames), 1, 4096, "N",
     "tell sites by so many of their innermost frames (default 6)"},
    {"skip", 0, ARGUMENT_TEXT, AT(skip), 0, 0, "REGEX",
     "innermost functions to leave out, in place of the C++ library's and malloc's"},
    {"files", 0, ARGUMENT_TEXT, AT(folder), 0, 0, "DIR",
     "where programs and libraries are too, or their debugging information"},
    {"json", 0, ARGUMENT_FLAG, AT(is_json), 0, 0, NULL, "write JSON, of all there is"},
    {"out", 'o', ARGUMENT_TEXT, AT(out), 0, 0, "OUT",
     "where flame writes, OUT.svg or OUT.html, and history, a folder"},
};

// ---- commands ----

typedef struct command {
  const char* name;
  int (*run)(const options* self, pf_request* request);  // returns the exit status
  pf_report* report;                                     // that makes the list; NULL: it is none
  size_t least_files;
  size_t most_files;
  bool has_out;
} command_t;

static bool ends_with(const char* text, const char* end) {
  size_t length = strlen(text), more = strlen(end);
  return length > more && strcmp(text + length - more, end) == 0;
}

static bool finish_output(FILE* file, const char* name) {
  bool is_good = fflush(file) == 0 && !ferror(file);
  if (file != stdout && fclose(file) != 0) is_good = false;
  if (!is_good) fprintf(stderr, "hakprof: cannot write to %s: %s\n", name, strerror(errno));
  return is_good;
}

static int draw_flame(const options* self, pf_request* request) {
  pf_node root = {0};
  const pf_profile* profile = request->profile;
  const pf_profile* base = request->base;
  int type = pf_need(request, profile, request->value);
  int before = base != NULL ? pf_need(request, base, request->value) : type;
  if (type == PF_NONE || before == PF_NONE) return EXIT_BAD_INPUT;
  pf_tree_add(&root, profile, type, false);
  if (base != NULL) pf_tree_add(&root, base, before, true);
  pf_tree_sort(&root);
  if (!(root.value > 0)) {
    request->error = hp_format("%s: there is no %s to draw", profile->name, request->value);
    return EXIT_BAD_INPUT;
  }
  const char* unit = profile->types[type].unit;
  const char* since = base != NULL ? hp_format(" since %s", pf_base_name(base->name)) : "";
  pf_flame flame = {hp_format("%s of %s%s: %s", request->value, pf_base_name(profile->name), since,
                              pf_amount(root.value, unit)),
                    unit, base != NULL};
  FILE* file = fopen(self->out, "we");
  if (file == NULL) {
    fprintf(stderr, "hakprof: cannot write to %s: %s\n", self->out, strerror(errno));
    return EXIT_FAILED;
  }
  (ends_with(self->out, ".svg") ? pf_flame_svg : pf_flame_html)(&flame, &root, file);
  return finish_output(file, self->out) ? 0 : EXIT_FAILED;
}

static int draw_history(const options* self, pf_request* request) {
  hp_figure* figure = pf_history(request, self->profiles, self->file_count);
  if (figure == NULL) return EXIT_BAD_INPUT;
  if (!hp_figure_has_data(figure) || !hp_figure_has_extent(figure)) {
    request->error = hp_format("there is no %s to draw over time", request->value);
    return EXIT_BAD_INPUT;
  }
  if (self->out == NULL) {
    hp_figure_text(figure, hp_terminal_columns(), stdout);
    return finish_output(stdout, "stdout") ? 0 : EXIT_FAILED;
  }
  hp_output output;
  if (!hp_output_open(&output, self->out, HP_SVG)) return EXIT_FAILED;
  hp_output_draw(&output, figure);
  hp_output_close(&output);
  return output.has_failed ? EXIT_FAILED : 0;
}

static int show_list(const options* self, pf_request* request) {
  pf_listing listing;
  if (!self->command->report(request, &listing)) return EXIT_BAD_INPUT;
  listing.least = self->least / 100;
  if (self->is_json) {
    pf_listing_json(&listing, stdout);
  } else {
    pf_listing_text(&listing, hp_terminal_columns(), stdout);
  }
  return finish_output(stdout, "stdout") ? 0 : EXIT_FAILED;
}

static int show_folded(const options* self, pf_request* request) {
  (void)self;
  if (!pf_write_folded(request, stdout)) return EXIT_BAD_INPUT;
  return finish_output(stdout, "stdout") ? 0 : EXIT_FAILED;
}

static const command_t kCommands[] = {
    {"top", show_list, pf_report_top, 1, 1, false},
    {"tree", show_list, pf_report_tree, 1, 1, false},
    {"leaks", show_list, pf_report_leaks, 1, 1, false},
    {"lifetimes", show_list, pf_report_lifetimes, 1, 1, false},
    {"diff", show_list, pf_report_diff, 2, 2, false},
    {"folded", show_folded, NULL, 1, 1, false},
    {"flame", draw_flame, NULL, 1, 2, true},
    {"history", draw_history, NULL, 2, SIZE_MAX, true},
};

static const command_t* command_named(const char* name) {
  for (size_t i = 0; i < sizeof(kCommands) / sizeof(kCommands[0]); i++) {
    if (strcmp(kCommands[i].name, name) == 0) return &kCommands[i];
  }
  return NULL;
}

// ---- the command line ----

static regex_t skipped;

static bool is_skipped(const char* name) { return regexec(&skipped, name, 0, NULL, 0) == 0; }

static void finish(void* into, char** words, size_t count, const struct argp_state* state) {
  options* self = into;
  if (count == 0) argp_error(state, "what to show? one of top, tree, leaks, ...");
  const command_t* command = command_named(words[0]);
  if (command == NULL) argp_error(state, "there is no command '%s'", words[0]);
  if (count - 1 < command->least_files) argp_error(state, "%s: a FILE is missing", words[0]);
  if (count - 1 > command->most_files) {
    argp_error(state, "%s: unexpected argument '%s'", words[0], words[command->most_files + 1]);
  }
  bool is_flame = command->run == draw_flame;
  if (is_flame && self->out == NULL) argp_error(state, "flame: -o OUT is missing");
  if (self->out != NULL && !command->has_out) argp_error(state, "%s has no -o", words[0]);
  if (is_flame && !ends_with(self->out, ".svg") && !ends_with(self->out, ".html")) {
    argp_error(state, "-o: '%s' ends in neither .svg nor .html", self->out);
  }
  if (self->is_json && command->report == NULL) argp_error(state, "%s has no --json", words[0]);
  if (self->value != NULL &&
      (command->report == pf_report_leaks || command->report == pf_report_lifetimes)) {
    argp_error(state, "%s has values of its own: no --value", words[0]);
  }
  if (self->value == NULL) self->value = "inuse_space";
  int error = regcomp(&skipped, hp_format("^(%s)$", self->skip), REG_EXTENDED | REG_NOSUB);
  char why[256];
  regerror(error, &skipped, why, sizeof(why));
  if (error != 0) argp_error(state, "--skip: '%s': %s", self->skip, why);
  self->command = command;
  self->files = words + 1;
  self->file_count = count - 1;
}

static int run(options* self) {
  pf_profile* profiles = self->profiles = hp_alloc(self->file_count * sizeof(*profiles));
  for (size_t i = 0; i < self->file_count; i++) {
    const char* error = pf_read(&profiles[i], self->files[i]);
    if (error != NULL) fprintf(stderr, "hakprof: %s: %s\n", self->files[i], error);
    if (error != NULL) return EXIT_BAD_INPUT;
    pf_find_symbols(&profiles[i], self->folder);
    pf_take_frames(&profiles[i], is_skipped);
  }
  pf_request request = {.profile = &profiles[self->file_count - 1],
                        .base = self->file_count > 1 ? &profiles[0] : NULL,
                        .value = self->value,
                        .frames = (size_t)self->frames};
  int status = self->command->run(self, &request);
  if (request.error != NULL) fprintf(stderr, "hakprof: %s\n", request.error);
  return status;
}

int main(int argc, char** argv) {
  static const argument_syntax kSyntax = {
      kOptions, sizeof(kOptions) / sizeof(kOptions[0]), kUsage, kAbout, false, finish};
  options chosen = {.skip = kSkip, .least = 1, .frames = 6};
  if (!places_enter_user_folder("hakprof")) return EXIT_BAD_INPUT;
  arguments_parse(&kSyntax, argc, argv, &chosen);
  int status = run(&chosen);
  regfree(&skipped);
  hp_free_all();
  return status;
}
