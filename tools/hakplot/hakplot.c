// hakplot: its command line; reads, prints the verdict, draws. `compare` is in compare.c.
//
// Exit status: 0; 1 where gnuplot or writing failed or the gate of compare did; 2 for bad arguments
// and files that were not understood.

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/arguments.h"
#include "tools/common/places.h"
#include "tools/hakplot/charts.h"
#include "tools/hakplot/draw.h"
#include "tools/hakplot/gnuplot.h"
#include "tools/hakplot/html_page.h"
#include "tools/hakplot/locate.h"
#include "tools/hakplot/read.h"
#include "tools/hakplot/term.h"
#include "tools/hakplot/verdict.h"

// ---- the command line ----

enum { HP_CHARTS_MAX = 32 };

typedef struct hp_options {
  bool keep_going;
  bool has_charts;  // some are named; otherwise all are wanted
  bool is_chart_wanted[HP_CHARTS_MAX];
  const char* chart_names;  // as given; NULL: none, as the next two
  const char* format_names;
  const char* metric_name;
  unsigned formats;  // HP_SVG ..., HP_TERMINAL
  const char* out;   // NULL: plots/ of the checkout
  double ops;        // NaN: unknown
  char** arguments;
  size_t argument_count;
  bool is_history;
  bool is_compare;
  hp_compare_options compare;
} hp_options;

static const char kUsage[] =
    "[FILE | FOLDER | LABEL=FILE]...\nhistory [FILE | FOLDER]...\ncompare BASE NEW [FILE]...";

static const char kAbout[] =
    "Draws records of hakrun and of workloads, perf stat -x or -j (with -r, -I, -A, too) and "
    "telemetry. Without files: the newest results under results/, or the recordings in "
    "testdata/report.\v"
    "history: each file of records against the one before; without files, those that lie beside "
    "the newest results.\n\n"
    "compare: BASE and NEW are files, folders or LABEL=FILE, or two phases of FILE... Metrics are "
    "throughput, steady, time-per-op, elapsed, kernel-share, faults, syscalls, peak-rss, mean-rss, "
    "over-rss, left-rss; of runs without operations cpu-time, faults-total, syscalls-total.";

#define AT(member) offsetof(hp_options, member)

static const argument_option kOptions[] = {
    {"chart", 0, ARGUMENT_TEXT, AT(chart_names), 0, 0, "NAME[,NAME]",
     "only these charts (`--chart help' lists them)"},
    {"format", 0, ARGUMENT_TEXT, AT(format_names), 0, 0, "F[,F]",
     "svg (default), png, pdf; term: all charts in the terminal, and files only of formats named "
     "beside it. compare: text (default), md: Markdown, or csv: the numbers"},
    {"out", 0, ARGUMENT_TEXT, AT(out), 0, 0, "DIR",
     "where the pictures and index.html go, in place of plots/ of the checkout"},
    {"ops", 0, ARGUMENT_NUMBER, AT(ops), 1, 1e18, "N",
     "operations of each run, for perf stat files, which cannot know it"},
    {"keep-going", 0, ARGUMENT_FLAG, AT(keep_going), 0, 0, NULL,
     "draw what can be read; files that cannot still make the exit status 2"},
    {.help = "compare:"},
    {"metric", 0, ARGUMENT_TEXT, AT(metric_name), 0, 0, "NAME",
     "only this one; the gate is on throughput otherwise"},
    {"fail-above", 0, ARGUMENT_NUMBER, AT(compare.fail_above), 0, 1e6, "PERCENT",
     "exit 1 if something loses more than that, has new failed runs, is missing, or has too few "
     "runs to tell"},
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

static void parse_options(hp_options* options, int argc, char** argv) {
  static const argument_syntax kSyntax = {
      kOptions, sizeof(kOptions) / sizeof(kOptions[0]), kUsage, kAbout, false, finish};
  *options = (hp_options){.ops = NAN, .compare = {.fail_above = NAN}};
  arguments_parse(&kSyntax, argc, argv, options);
}

// ---- what to draw ----

typedef struct hp_session {
  const hp_options* options;
  hp_dataset data;
  hp_cases cases;
  hp_figures figures;
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
  const char* input = hp_newest_results();
  // A file's history are those beside it.
  if (input != NULL && options->is_history) {
    input = hp_copy(input, (size_t)(strrchr(input, '/') - input));
  }
  if (input != NULL) {
    printf("Newest results: %s\n\n", input);
  } else if ((input = hp_recordings()) != NULL) {
    printf(
        "The report that this project answers: %s\n"
        "(no results yet; to make some: %s smoke)\n\n",
        input, hp_command("hakrun"));
  } else {
    fprintf(stderr, "hakplot: no results/ and no testdata/report here: name files to read\n");
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
    if (session->options->has_charts && !session->options->is_chart_wanted[i]) continue;
    kCharts[i].make(figures);
    for (size_t f = before; f < figures->count; f++) figures->at[f]->about = kCharts[i].about;
    if (figures->count == before && session->options->has_charts) {
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

static void print_figure(const hp_figure* figure) {
  hp_figure_text(figure, hp_terminal_columns(), stdout);
  putchar('\n');
}

// ---- files ----

// The command as a shell would take it, for the page.
static const char* command_of(int argc, char** argv) {
  char* text = NULL;
  size_t size = 0;
  FILE* out = open_memstream(&text, &size);
  if (out == NULL) return "";
  fputs(hp_command("hakplot"), out);
  for (int i = 1; i < argc; i++) {
    fputs(" '", out);
    for (const char* at = argv[i]; *at != '\0'; at++) {
      fprintf(out, *at == '\'' ? "'\\'%c" : "%c", *at);
    }
    fputc('\'', out);
  }
  fclose(out);
  const char* command = hp_clean(text, size);
  free(text);
  return command;
}

static bool write_files(hp_session* session, const char* command) {
  const hp_figures* figures = &session->figures;
  hp_output output;
  const char* folder = session->options->out;
  if (folder == NULL) folder = hp_format("%s/plots", hp_workspace());
  if (!hp_output_open(&output, folder, session->options->formats)) return false;
  hp_page page = {.data = &session->data,
                  .cases = &session->cases,
                  .pictures = hp_alloc((figures->count + 1) * sizeof(hp_picture)),
                  .picture_count = figures->count,
                  .formats = session->options->formats,
                  .command = command,
                  .run_command = hp_command("hakrun")};
  size_t drawn = 0;
  for (size_t i = 0; i < figures->count && !hp_output_is_interrupted(); i++) {
    page.pictures[i] = (hp_picture){figures->at[i], hp_output_draw(&output, figures->at[i])};
    if (page.pictures[i].svg != NULL) drawn++;
  }
  bool has_page = !hp_output_is_interrupted();
  if (has_page) {
    FILE* html = hp_output_begin(&output, "index.html");
    if (html != NULL) hp_page_html(&page, html);
    has_page = hp_output_end(&output, html, "index.html");
  }
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
  hp_tell_files_apart(&session->data);
  hp_assume_ops(&session->data, session->options->ops);
  session->cases = hp_group_runs(&session->data);
  hp_figures_begin(&session->figures, &session->data, &session->cases);
  bool has_all = make_figures(session);
  if (session->options->is_history) {
    hp_history_print(&session->figures);
  } else {
    hp_verdict_print(&session->figures);
  }
  fflush(stdout);
  bool is_good = true;
  bool wants_all = (session->options->formats & HP_TERMINAL) != 0;
  for (size_t i = 0; i < session->figures.count && wants_all; i++) {
    print_figure(session->figures.at[i]);
  }
  if (!wants_all) print_first_look(session);
  if ((session->options->formats & ~(unsigned)HP_TERMINAL) != 0)
    is_good &= write_files(session, command);
  if (!is_good) return 1;
  return session->failed_files > 0 || !has_all ? 2 : 0;
}

static int run(hp_session* session, int argc, char** argv) {
  hp_dataset_init(&session->data);
  bool is_read = read_input(session);
  if (session->data.file_count > 0 && session->data.row_count == 0)
    fprintf(stderr, "hakplot: there is nothing to draw in what was read\n");
  int status = is_read ? draw(session, command_of(argc, argv)) : 2;
  hp_free_all();
  return status;
}

static int dispatch(int argc, char** argv) {
  hp_options options;
  parse_options(&options, argc, argv);
  if (options.is_compare) return hp_compare(&options.compare);
  hp_session session = {.options = &options};
  return run(&session, argc, argv);
}

int main(int argc, char** argv) {
  if (!places_enter_user_folder("hakplot")) return EXIT_BAD_INPUT;
  int status = dispatch(argc, argv);
  if (fflush(stdout) == 0 && !ferror(stdout)) return status;
  fprintf(stderr, "hakplot: cannot write to standard output: %s\n", strerror(errno));
  return status != 0 ? status : 1;
}
