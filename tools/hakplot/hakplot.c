// hakplot: reads, prints the verdict, draws; `compare` is in compare.c, the command line in
// command_line.c.
//
// Exit status: 0; 1 where gnuplot or writing failed or the gate of compare did; 2 for bad arguments
// and files that were not understood.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/common/arguments.h"
#include "tools/common/places.h"
#include "tools/hakplot/charts.h"
#include "tools/hakplot/command_line.h"
#include "tools/hakplot/draw.h"
#include "tools/hakplot/gnuplot.h"
#include "tools/hakplot/html_page.h"
#include "tools/hakplot/locate.h"
#include "tools/hakplot/read.h"
#include "tools/hakplot/term.h"
#include "tools/hakplot/verdict.h"

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
  hp_parse_options(&options, argc, argv);
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
