// hakplot's command line: argp's table of options, and what the arguments must be together.

#include "tools/hakplot/command_line.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/arguments.h"
#include "tools/hakplot/charts.h"
#include "tools/hakplot/gnuplot.h"

static const char kUsage[] =
    "[FILE | FOLDER | LABEL=FILE]...\nhistory [FILE | FOLDER]...\ncompare BASE NEW [FILE]...";

static const char kAbout[] =
    "Draws records of hakrun and of workloads, perf stat -x or -j (with -r, -I, -A, too) and "
    "telemetry. Without files: the newest results under results/, or the recordings in "
    "testdata/report.\v"
    "history: each file of records against the one before; without files, those that lie beside "
    "the "
    "newest results.\n\n"
    "compare: BASE and NEW are files, folders or LABEL=FILE, or two phases of FILE... Metrics are "
    "throughput, steady, time-per-op, elapsed, kernel-share, faults, syscalls, peak-rss, mean-rss, "
    "over-rss, left-rss; "
    "of runs "
    "without operations cpu-time, faults-total, syscalls-total.";

#define AT(member) offsetof(hp_options, member)

static const argument_option kOptions[] = {
    {"chart", ARGUMENT_TEXT, AT(chart_names), "NAME[,NAME]",
     "only these charts (`--chart help' lists them)", 0, 0, 0},
    {"format", ARGUMENT_TEXT, AT(format_names), "F[,F]",
     "svg (default), png, pdf; term: all charts in the terminal, and files only of formats named "
     "beside it. compare: text (default), md: Markdown, or csv: the numbers",
     0, 0, 0},
    {"out", ARGUMENT_TEXT, AT(out), "DIR",
     "where the pictures and index.html go, in place of plots/ of the checkout", 0, 0, 0},
    {"ops", ARGUMENT_NUMBER, AT(ops), "N",
     "operations of each run, for perf stat files, which cannot know it", 1, 1e18, 0},
    {"keep-going", ARGUMENT_FLAG, AT(keep_going), NULL,
     "draw what can be read; files that cannot still make the exit status 2", 0, 0, 0},
    {.help = "compare:"},
    {"metric", ARGUMENT_TEXT, AT(metric_name), "NAME",
     "only this one; the gate is on throughput otherwise", 0, 0, 0},
    {"fail-above", ARGUMENT_NUMBER, AT(compare.fail_above), "PERCENT",
     "exit 1 if something loses more than that, has new failed runs, is missing, or has too few "
     "runs to tell",
     0, 1e6, 0},
};

static _Noreturn void list_charts(void) {
  for (size_t i = 0; i < kChartCount; i++) {
    printf("%-14s from %s\n", kCharts[i].name, kCharts[i].needs);
  }
  exit(0);
}

// "a,b" against names; calls `take` with each. Returns whether all were known.
static bool for_names(const char* list, bool (*take)(const char* name, void* into), void* into) {
  char name[64];
  while (true) {
    size_t size = strcspn(list, ",");
    snprintf(name, sizeof(name), "%.*s", (int)(size < 63 ? size : 63), list);
    if (!take(name, into)) return false;
    if (list[size] == '\0') return true;
    list += size + 1;
  }
}

static bool take_format(const char* name, void* into) {
  static const char* const kNames[] = {"svg", "png", "pdf", "term"};
  unsigned* formats = into;
  for (unsigned i = 0; i < 4; i++) {
    if (strcmp(name, kNames[i]) != 0) continue;
    *formats |= 1u << i;
    return true;
  }
  return false;
}

static bool take_chart(const char* name, void* into) {
  bool* is_wanted = into;
  const hp_chart* chart = hp_chart_named(name);
  if (chart != NULL) is_wanted[chart - kCharts] = true;
  return chart != NULL;
}

static void finish_compare(hp_options* options, const struct argp_state* state) {
  static const char* const kNames[] = {
      [HP_AS_TEXT] = "text", [HP_AS_MARKDOWN] = "md", [HP_AS_CSV] = "csv"};
  hp_compare_options* compare = &options->compare;
  const char* wanted = options->format_names != NULL ? options->format_names : "text";
  options->is_compare = true;
  if (options->argument_count < 3) argp_error(state, "compare: expected BASE and NEW");
  if (options->has_charts || options->out != NULL) {
    argp_error(state, "compare draws nothing: no --chart or --out");
  }
  compare->base = options->arguments[1];
  compare->now = options->arguments[2];
  compare->files = options->arguments + 3;
  compare->file_count = options->argument_count - 3;
  compare->ops = options->ops;
  compare->keep_going = options->keep_going;
  for (size_t i = 0; i < sizeof(kNames) / sizeof(kNames[0]); i++) {
    compare->format = (hp_compare_format)i;
    if (strcmp(wanted, kNames[i]) == 0) return;
  }
  argp_error(state, "compare --format: expected text, md or csv: \"%s\"", wanted);
}

static void finish(void* into, char** words, size_t count, const struct argp_state* state) {
  hp_options* options = into;
  options->arguments = words;
  options->argument_count = count;
  options->has_charts = options->chart_names != NULL;
  if (options->has_charts && strcmp(options->chart_names, "help") == 0) list_charts();
  if (options->has_charts &&
      !for_names(options->chart_names, take_chart, options->is_chart_wanted)) {
    argp_error(state, "--chart: no chart \"%s\" (`--chart help' lists them)", options->chart_names);
  }
  if (options->out != NULL && options->out[0] == '\0')
    argp_error(state, "--out: expected a folder");
  if (options->metric_name != NULL) {
    options->compare.metric = hp_metric_named(options->metric_name);
    if (options->compare.metric == NULL) {
      argp_error(state, "--metric: no metric \"%s\"", options->metric_name);
    }
  }
  if (count > 0 && strcmp(words[0], "compare") == 0) {
    finish_compare(options, state);
    return;
  }
  if (count > 0 && strcmp(words[0], "history") == 0) {
    options->is_history = true;
    options->arguments++;
    options->argument_count--;
    if (options->has_charts) argp_error(state, "history is a chart of its own: no --chart");
    take_chart("history", options->is_chart_wanted);
    options->has_charts = true;
  }
  if (options->compare.metric != NULL || !isnan(options->compare.fail_above)) {
    argp_error(state, "--metric and --fail-above belong to compare");
  }
  if (options->format_names == NULL) options->formats = HP_SVG;
  if (options->format_names != NULL &&
      !for_names(options->format_names, take_format, &options->formats)) {
    argp_error(state, "--format: expected svg, png, pdf or term: \"%s\"", options->format_names);
  }
}

void hp_parse_options(hp_options* options, int argc, char** argv) {
  static const argument_syntax kSyntax = {
      kOptions, sizeof(kOptions) / sizeof(kOptions[0]), kUsage, kAbout, false, finish};
  *options = (hp_options){.ops = NAN, .compare = {.fail_above = NAN}};
  arguments_parse(&kSyntax, argc, argv, options);
}
