#include "tools/hakplot/options.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/hakplot/charts.h"
#include "tools/hakplot/gnuplot.h"

static const char kUsage[] =
    "usage: hakplot [OPTIONS] [FILE | FOLDER | LABEL=FILE]...\n"
    "       hakplot compare [OPTIONS] BASE NEW [FILE]...\n"
    "\n"
    "Draws records of hakrun and of workloads, perf stat output (text, -x, -j; -r,\n"
    "-I, -A) and telemetry. Without files: the newest results under results/, or the\n"
    "recordings in testdata/report.\n"
    "\n"
    "  --chart NAME[,NAME]  only these charts (--chart help lists them)\n"
    "  --format F[,F]       svg (default), png, pdf; term: all charts in the terminal,\n"
    "                       and files only of formats named beside it\n"
    "  --out DIR            where the pictures and index.html go, in place of plots/\n"
    "                       of the checkout\n"
    "  --ops N              operations of each run, for perf stat files, which cannot\n"
    "                       know it\n"
    "  --keep-going         draw what can be read; files that cannot still make the\n"
    "                       exit status 2\n"
    "\n"
    "compare: BASE and NEW are files, folders or LABEL=FILE, or two phases of FILE...\n"
    "  --metric NAME        only this one (throughput, time-per-op, elapsed,\n"
    "                       kernel-share, faults, syscalls, peak-rss; of runs without\n"
    "                       operations cpu-time, faults-total, syscalls-total); the gate\n"
    "                       is on throughput otherwise\n"
    "  --format F           text (default), md: Markdown, or csv: the numbers\n"
    "  --fail-above PERCENT exit 1 if something loses more than that, has new failed\n"
    "                       runs, is missing, or has too few runs to tell\n";

static int bad_argument(const char* what, const char* value) {
  fprintf(stderr, "hakplot: %s: \"%s\"\n\n%s", what, value, kUsage);
  return 2;
}

static int list_charts(void) {
  for (size_t i = 0; i < kChartCount; i++) {
    printf("%-14s from %s\n", kCharts[i].name, kCharts[i].needs);
  }
  return 0;
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
  bad_argument("--format: expected svg, png, pdf or term", name);
  return false;
}

static bool take_chart(const char* name, void* into) {
  bool* is_wanted = into;
  const hp_chart* chart = hp_chart_named(name);
  if (chart == NULL) {
    fprintf(stderr, "hakplot: --chart: no chart \"%s\"; there are:\n", name);
    for (size_t i = 0; i < kChartCount; i++) fprintf(stderr, "  %s\n", kCharts[i].name);
    return false;
  }
  is_wanted[chart - kCharts] = true;
  return true;
}

enum {
  OPTION_CHART = 256,
  OPTION_FORMAT,
  OPTION_OUT,
  OPTION_OPS,
  OPTION_KEEP,
  OPTION_METRIC,
  OPTION_FAIL
};

static const struct option kLongOptions[] = {
    {"chart", required_argument, NULL, OPTION_CHART},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"out", required_argument, NULL, OPTION_OUT},
    {"ops", required_argument, NULL, OPTION_OPS},
    {"keep-going", no_argument, NULL, OPTION_KEEP},
    {"metric", required_argument, NULL, OPTION_METRIC},
    {"fail-above", required_argument, NULL, OPTION_FAIL},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

// Returns -1 to go on, or the exit status.
static int take_option(hp_options* options, int option) {
  switch (option) {
    case OPTION_CHART:
      if (strcmp(optarg, "help") == 0) return list_charts();
      options->has_charts = true;
      return for_names(optarg, take_chart, options->is_chart_wanted) ? -1 : 2;
    case OPTION_FORMAT:
      options->format_names = optarg;  // their meaning depends on whether we compare
      return -1;
    case OPTION_OUT:
      options->out = optarg;
      return optarg[0] != '\0' ? -1 : bad_argument("--out: expected a folder", optarg);
    case OPTION_OPS:
      if (hp_parse_number(optarg, strlen(optarg), &options->ops) && options->ops > 0) return -1;
      return bad_argument("--ops: expected a number above 0, such as 1e7", optarg);
    case OPTION_KEEP:
      options->keep_going = true;
      return -1;
    case OPTION_METRIC:
      options->compare.metric = hp_metric_named(optarg);
      return options->compare.metric != NULL ? -1
                                             : bad_argument("--metric: no such metric", optarg);
    case OPTION_FAIL:
      if (hp_parse_number(optarg, strlen(optarg), &options->compare.fail_above) &&
          options->compare.fail_above >= 0) {
        return -1;
      }
      return bad_argument("--fail-above: expected per cent, 0 or more", optarg);
    case 'h':
      fputs(kUsage, stdout);
      return 0;
    default:
      fprintf(stderr, "\n%s", kUsage);  // getopt has named what is wrong
      return 2;
  }
}

static int finish_compare(hp_options* options) {
  static const char* const kNames[] = {
      [HP_AS_TEXT] = "text", [HP_AS_MARKDOWN] = "md", [HP_AS_CSV] = "csv"};
  hp_compare_options* compare = &options->compare;
  const char* wanted = options->format_names != NULL ? options->format_names : "text";
  options->is_compare = true;
  if (options->argument_count < 3) return bad_argument("compare: expected BASE and NEW", "compare");
  if (options->has_charts || options->out != NULL)
    return bad_argument("compare draws nothing: no --chart or --out", "compare");
  compare->base = options->arguments[1];
  compare->now = options->arguments[2];
  compare->files = options->arguments + 3;
  compare->file_count = options->argument_count - 3;
  compare->ops = options->ops;
  compare->keep_going = options->keep_going;
  for (size_t i = 0; i < sizeof(kNames) / sizeof(kNames[0]); i++) {
    compare->format = (hp_compare_format)i;
    if (strcmp(wanted, kNames[i]) == 0) return -1;
  }
  return bad_argument("compare --format: expected text, md or csv", wanted);
}

static int finish_drawing(hp_options* options) {
  if (options->compare.metric != NULL || !isnan(options->compare.fail_above))
    return bad_argument("--metric and --fail-above belong to", "hakplot compare");
  if (options->format_names == NULL) options->formats = HP_SVG;
  bool is_good = options->format_names == NULL ||
                 for_names(options->format_names, take_format, &options->formats);
  return is_good ? -1 : 2;
}

int hp_parse_options(hp_options* options, int argc, char** argv) {
  *options = (hp_options){.ops = NAN, .compare = {.fail_above = NAN}};
  for (int option; (option = getopt_long(argc, argv, "h", kLongOptions, NULL)) != -1;) {
    int status = take_option(options, option);
    if (status >= 0) return status;
  }
  options->arguments = argv + optind;
  options->argument_count = (size_t)(argc - optind);
  bool is_compare = options->argument_count > 0 && strcmp(options->arguments[0], "compare") == 0;
  return is_compare ? finish_compare(options) : finish_drawing(options);
}
