// hakplot: the command line. Reads, prints the verdict, draws; `compare` is in compare.c.
//
// Exit status: 0; 1 where gnuplot or writing failed or the gate of compare did; 2 for bad arguments
// and files that were not understood.

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/hakplot/charts.h"
#include "tools/hakplot/draw.h"
#include "tools/hakplot/gnuplot.h"
#include "tools/hakplot/locate.h"
#include "tools/hakplot/page.h"
#include "tools/hakplot/read.h"
#include "tools/hakplot/term.h"
#include "tools/hakplot/verdict.h"

static const char kUsage[] =
    "usage: hakplot [OPTIONS] [FILE | FOLDER | LABEL=FILE]...\n"
    "       hakplot compare [OPTIONS] BASE NEW [FILE]...\n"
    "\n"
    "Draws records of hakrun and of workloads, perf stat output (text, -x, -j; -r,\n"
    "-I, -A) and telemetry. Without files: the newest results under results/, or the\n"
    "recordings in testdata/phases.\n"
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

typedef struct hp_options {
  bool is_compare;
  bool keep_going;
  char* charts;   // NULL: all
  char* formats;  // NULL: svg
  const char* out;
  double ops;
  double fail_above;
  const hp_metric* metric;
  char** arguments;
  size_t argument_count;
} hp_options;

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
      options->charts = optarg;
      return strcmp(optarg, "help") == 0 ? list_charts() : -1;
    case OPTION_FORMAT:
      options->formats = optarg;
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
      options->metric = hp_metric_named(optarg);
      return options->metric != NULL ? -1 : bad_argument("--metric: no such metric", optarg);
    case OPTION_FAIL:
      if (hp_parse_number(optarg, strlen(optarg), &options->fail_above) &&
          options->fail_above >= 0) {
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

static int parse_options(hp_options* options, int argc, char** argv) {
  *options = (hp_options){.ops = NAN, .fail_above = NAN};
  for (int option; (option = getopt_long(argc, argv, "h", kLongOptions, NULL)) != -1;) {
    int status = take_option(options, option);
    if (status >= 0) return status;
  }
  options->arguments = argv + optind;
  options->argument_count = (size_t)(argc - optind);
  if (options->argument_count > 0 && strcmp(options->arguments[0], "compare") == 0) {
    options->is_compare = true;
    options->arguments++;
    options->argument_count--;
    if (options->argument_count < 2)
      return bad_argument("compare: expected BASE and NEW", "compare");
    if (options->charts != NULL || options->out != NULL)
      return bad_argument("compare draws nothing: no --chart or --out", "compare");
  } else if (options->metric != NULL || !isnan(options->fail_above)) {
    return bad_argument("--metric and --fail-above belong to", "hakplot compare");
  }
  return -1;
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

// ---- what to draw ----

typedef struct hp_session {
  const hp_options* options;
  unsigned formats;
  bool is_wanted[32];  // by chart
  hp_dataset data;
  hp_cases cases;
  hp_figures figures;
  hp_table** tables;
  size_t failed_files;
} hp_session;

static bool read_input(hp_session* session) {
  const hp_options* options = session->options;
  hp_dataset* data = &session->data;
  for (size_t i = 0; i < options->argument_count; i++) {
    session->failed_files += hp_read_argument(data, options->arguments[i], options->keep_going);
    if (session->failed_files > 0 && !options->keep_going) return false;
  }
  if (options->argument_count > 0) return data->row_count > 0;
  const char* input = hp_newest_results(&data->arena);
  if (input != NULL) {
    printf("Newest results: %s\n\n", input);
  } else if ((input = hp_recordings(&data->arena)) != NULL) {
    printf(
        "No results yet (%s smoke makes some): showing %s,\n"
        "the report that this project answers.\n\n",
        hp_command(&data->arena, "hakrun"), input);
  } else {
    fprintf(stderr, "hakplot: no results/ and no testdata/phases here: name files to read\n");
    return false;
  }
  session->failed_files += hp_read_argument(data, input, options->keep_going);
  return data->row_count > 0;
}

// A page of more pictures serves nobody, and drawing them would take hours.
enum { FIGURES_MAX = 1000 };

static bool make_figures(hp_session* session) {
  hp_figures* figures = &session->figures;
  bool has_all = true;
  for (size_t i = 0; i < kChartCount; i++) {
    size_t before = figures->count;
    if (session->options->charts != NULL && !session->is_wanted[i]) continue;
    kCharts[i].make(figures);
    for (size_t f = before; f < figures->count; f++) figures->at[f]->about = kCharts[i].about;
    if (figures->count == before && session->options->charts != NULL) {
      fprintf(stderr, "hakplot: no chart \"%s\": it is made of %s\n", kCharts[i].name,
              kCharts[i].needs);
      has_all = false;
    }
  }
  if (figures->count > FIGURES_MAX) {
    fprintf(stderr, "hakplot: %zu pictures: only the first %d are drawn; name charts or files\n",
            figures->count, FIGURES_MAX);
    figures->count = FIGURES_MAX;
    has_all = false;
  }
  return has_all;
}

// Points of sweeps, limits and latency runs: their charts say it better.
static bool is_detail(const hp_session* session, const hp_case* one) {
  return hp_is_sweep_point(&session->figures, one) || hp_string(one->sample, HP_mode) != NULL ||
         hp_is_dry(one);
}

static void print_tables(hp_session* session) {
  hp_text text = {0};
  size_t details = 0;
  size_t columns = hp_terminal_columns();
  session->tables = hp_alloc(&session->data.arena, (session->cases.count + 1) * sizeof(hp_table*));
  for (size_t i = 0; i < session->cases.count; i++) {
    const hp_case* one = &session->cases.at[i];
    session->tables[i] = hp_verdict_table(&session->data, one);
    session->tables[i]->is_detail = is_detail(session, one);
    if (session->tables[i]->is_detail) {
      details++;
      continue;
    }
    text.size = 0;
    hp_table_text(session->tables[i], columns, &text);
    printf("%s\n", text.data);
  }
  if (details > 0)
    printf("%zu more (points of sweeps, limits, latency runs): in the charts and on the page\n\n",
           details);
  for (size_t i = 0; i < session->data.note_count; i++)
    printf("note: %s\n", session->data.notes[i]);
  if (session->data.note_count > 0) putchar('\n');
  hp_text_free(&text);
}

// Draws in the terminal; false where gnuplot was needed and failed.
static bool print_figure(const hp_figure* figure) {
  hp_text text = {0};
  size_t columns = hp_terminal_columns();
  bool is_good =
      hp_figure_text(figure, columns, &text) || hp_gnuplot_text(figure, (int)columns, &text);
  if (is_good) printf("%s\n", text.data);
  hp_text_free(&text);
  return is_good;
}

static bool print_figures(hp_session* session) {
  bool is_good = true;
  for (size_t i = 0; i < session->figures.count; i++)
    is_good &= print_figure(session->figures.at[i]);
  return is_good;
}

// ---- files ----

// The command as a shell would take it, for the page.
static const char* command_of(hp_session* session, int argc, char** argv) {
  hp_text text = {0};
  hp_puts(&text, hp_command(&session->data.arena, "hakplot"));
  for (int i = 1; i < argc; i++) {
    hp_puts(&text, " '");
    for (const char* at = argv[i]; *at != '\0'; at++) {
      if (*at == '\'') hp_puts(&text, "'\\'");
      hp_put(&text, at, 1);
    }
    hp_puts(&text, "'");
  }
  char* command = hp_clean(&session->data.arena, text.data, text.size);
  hp_text_free(&text);
  return command;
}

static bool write_page(hp_output* output, const hp_page* page) {
  hp_text html = {0};
  hp_page_html(page, &html);
  bool is_good = hp_output_write(output, "index.html", &html);
  hp_text_free(&html);
  return is_good;
}

static bool write_files(hp_session* session, const char* command) {
  hp_arena* arena = &session->data.arena;
  const hp_figures* figures = &session->figures;
  hp_output output;
  const char* folder = session->options->out;
  if (folder == NULL) folder = hp_format(arena, "%s/plots", hp_workspace());
  if (!hp_output_open(&output, folder, session->formats)) return false;
  hp_page page = {.data = &session->data,
                  .tables = session->tables,
                  .table_count = session->cases.count,
                  .pictures = hp_alloc(arena, (figures->count + 1) * sizeof(hp_picture)),
                  .picture_count = figures->count,
                  .formats = session->formats,
                  .command = command,
                  .run_command = hp_command(arena, "hakrun")};
  size_t drawn = 0;
  for (size_t i = 0; i < figures->count && !hp_output_is_interrupted(); i++) {
    hp_text svg = {0};
    bool is_drawn = hp_output_draw(&output, figures->at[i], &svg);
    page.pictures[i].figure = figures->at[i];
    page.pictures[i].svg = is_drawn ? hp_copy(arena, svg.data, svg.size) : NULL;
    if (is_drawn) drawn++;
    hp_text_free(&svg);
  }
  bool has_page = !hp_output_is_interrupted() && write_page(&output, &page);
  hp_output_close(&output);
  char* full = realpath(folder, NULL);
  if (has_page) {
    printf("%zu %s and the page: %s/index.html\n", drawn, drawn == 1 ? "picture" : "pictures",
           full != NULL ? full : folder);
  }
  free(full);
  return has_page && !output.has_failed;
}

// The first figure, and profiles, which say where the time goes. Rows need nobody's help to draw.
static void print_first_look(hp_session* session) {
  for (size_t i = 0; i < session->figures.count; i++) {
    const hp_figure* figure = session->figures.at[i];
    bool is_small = figure->shape == HP_BARS || figure->shape == HP_STACK;
    if (is_small && (i == 0 || strcmp(figure->name, "profile") == 0)) print_figure(figure);
  }
}

static int draw(hp_session* session, const char* command) {
  hp_assume_ops(&session->data, session->options->ops);
  session->cases = hp_group_runs(&session->data);
  hp_figures_begin(&session->figures, &session->data, &session->cases);
  print_tables(session);
  fflush(stdout);
  bool has_all = make_figures(session);
  bool is_good = true;
  if ((session->formats & HP_TERMINAL) != 0) {
    is_good = print_figures(session);
  } else {
    print_first_look(session);
  }
  if ((session->formats & ~(unsigned)HP_TERMINAL) != 0) is_good &= write_files(session, command);
  if (!is_good) return 1;
  return session->failed_files > 0 || !has_all ? 2 : 0;
}

static int run(hp_session* session, int argc, char** argv) {
  const hp_options* options = session->options;
  if (options->formats != NULL && !for_names(options->formats, take_format, &session->formats))
    return 2;
  if (options->charts != NULL && !for_names(options->charts, take_chart, session->is_wanted))
    return 2;
  if (session->formats == 0) session->formats = HP_SVG;
  hp_dataset_init(&session->data);
  int status = read_input(session) ? draw(session, command_of(session, argc, argv)) : 2;
  hp_figures_end(&session->figures);
  hp_dataset_free(&session->data);
  return status;
}

static int run_compare(const hp_options* options) {
  static const char* const kNames[] = {
      [HP_AS_TEXT] = "text", [HP_AS_MARKDOWN] = "md", [HP_AS_CSV] = "csv"};
  hp_compare_options compare = {.base = options->arguments[0],
                                .now = options->arguments[1],
                                .files = options->arguments + 2,
                                .file_count = options->argument_count - 2,
                                .metric = options->metric,
                                .fail_above = options->fail_above,
                                .ops = options->ops,
                                .keep_going = options->keep_going};
  const char* wanted = options->formats != NULL ? options->formats : "text";
  for (size_t i = 0; i < sizeof(kNames) / sizeof(kNames[0]); i++) {
    compare.format = (hp_compare_format)i;
    if (strcmp(wanted, kNames[i]) == 0) return hp_compare(&compare);
  }
  return bad_argument("compare --format: expected text, md or csv", wanted);
}

static int dispatch(int argc, char** argv) {
  hp_options options;
  int status = parse_options(&options, argc, argv);
  if (status >= 0) return status;
  if (options.is_compare) return run_compare(&options);
  hp_session session = {.options = &options};
  return run(&session, argc, argv);
}

int main(int argc, char** argv) {
  hp_locate_start();
  int status = dispatch(argc, argv);
  if (fflush(stdout) == 0 && !ferror(stdout)) return status;
  fprintf(stderr, "hakplot: cannot write to standard output: %s\n", strerror(errno));
  return status != 0 ? status : 1;
}
