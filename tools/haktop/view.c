// Frames: the header, the pane that was chosen, the line of keys.

#include "tools/haktop/view.h"

#include <stdio.h>
#include <string.h>

#include "tools/haktop/panes.h"

// VMAs beyond this share of the limit are a warning: at the limit mmap fails.
static const double kManyVmas = 0.8;

ht_view ht_view_new(double interval_s) {
  return (ht_view){.sort = HT_CLASS_TAKEN, .interval_s = interval_s};
}

// ---- the header: a title and the figures of process and allocator ----

enum { HEADER_FIGURES = 16, FIGURE_COLUMNS = 20, FIGURES_IN_ROW = 4 };

static void put_header(const ht_model* model, ht_canvas* canvas, ht_area area, int in_row) {
  const hak_stats* now = &model->now.stats;
  const ht_rates* rates = &model->rates;
  // "57/65530", and whether that is many: with a sign, for colour alone says nothing.
  char vmas[2 * sizeof(ht_number) + 2];
  bool has_many = ht_known(now->vmas) > kManyVmas * ht_known(now->vmas_max);
  snprintf(vmas, sizeof(vmas), "%s%s/%s", has_many ? "!" : "",
           ht_format_count(ht_known(now->vmas)).text,
           ht_format_count(ht_known(now->vmas_max)).text);
#define FIGURE(name, format, value) \
  { name, format, value, NULL, HT_PLAIN }
  const ht_figure figures[HEADER_FIGURES] = {
      FIGURE("user", ht_format_percent, rates->user),
      FIGURE("system", ht_format_percent, rates->system),
      FIGURE("kernel share", ht_format_percent, rates->kernel_share),
      FIGURE("faults/s", ht_format_count, rates->minor_faults + rates->major_faults),

      FIGURE("RSS", ht_format_bytes, ht_known(now->rss_bytes)),
      {"VMAs", NULL, 0, vmas, has_many ? HT_WARNING : HT_PLAIN},
      FIGURE("threads", ht_format_count, ht_known(now->heaps)),
      FIGURE("exhaustions", ht_format_count, ht_known(now->exhaustions)),

      FIGURE("live", ht_format_bytes, ht_known(now->allocated_bytes)),
      FIGURE("committed", ht_format_bytes, ht_known(now->committed_bytes)),
      FIGURE("reserved", ht_format_bytes, ht_known(now->reserved_bytes)),
      FIGURE("purged", ht_format_bytes, ht_known(now->purged_bytes)),

      FIGURE("taken/s", ht_format_count, rates->taken),
      FIGURE("returned/s", ht_format_count, rates->returned),
      FIGURE("remote/s", ht_format_count, rates->remote_frees),
      FIGURE("lock waits/s", ht_format_count, rates->lock_contentions),
  };
#undef FIGURE
  ht_put_figures(canvas, area, figures, HEADER_FIGURES, in_row);
}

// Below the title; as many figures as a third of the frame holds. Returns the row behind it.
static int draw_header(const ht_model* model, ht_canvas* canvas) {
  int in_row = canvas->columns / FIGURE_COLUMNS;
  if (in_row > FIGURES_IN_ROW) in_row = FIGURES_IN_ROW;
  int rows = (HEADER_FIGURES + in_row - 1) / in_row;
  if (rows > canvas->rows / 3) rows = canvas->rows / 3;
  put_header(model, canvas, (ht_area){1, 0, rows, canvas->columns}, in_row);
  return 1 + rows;
}

static void draw_title(const ht_view* view, const ht_model* model, ht_canvas* canvas) {
  char right[96];
  snprintf(right, sizeof(right), "watched %s, every %g s", ht_format_clock(model->watched_s).text,
           view->interval_s);
  int columns = canvas->columns;
  int used =
      ht_printf(canvas, 0, 0, columns, HT_HEADING, "haktop  %d %s", model->pid, model->command);
  if (columns >= HT_FULL_COLUMNS) {
    columns -= (int)strlen(right);
    ht_put(canvas, 0, columns, (int)strlen(right), HT_LABEL, right);
  }
  if (model->n_states == 0 || model->now.phase[0] == '\0') return;
  // The label need not be terminated: it is a stranger's.
  ht_printf(canvas, 0, used + 2, columns - used - 4, HT_PLAIN, "phase %.*s",
            (int)sizeof(model->now.phase), model->now.phase);
}

typedef struct status_line {
  char text[64];
} status_line;

// What is unusual about the process or the view; empty when nothing is.
static status_line status_of(const ht_view* view, const ht_model* model) {
  status_line line = {""};
  if (model->status == HT_SILENT) {
    snprintf(line.text, sizeof(line.text), "NO UPDATE FOR %.0f s", model->silent_s);
    return line;
  }
  strcpy(line.text, model->status == HT_ENDED   ? "THE PROCESS HAS ENDED"
                    : model->status == HT_STUCK ? "WRITER STOPPED MID-UPDATE"
                    : view->is_paused           ? "PAUSED"
                                                : "");
  return line;
}

// ---- around the panes ----

static void draw_tabs(const ht_view* view, const ht_model* model, ht_canvas* canvas, int row) {
  static const char* const kNames[HT_N_PANES] = {"1 overview", "2 classes", "3 events", "4 kernel",
                                                 "5 past"};
  int column = 0;
  for (int i = 0; i < HT_N_PANES; i++) {
    bool is_shown = !view->has_help && (int)view->pane == i;
    ht_style style = is_shown ? HT_SELECTED : HT_LABEL;
    column += ht_printf(canvas, row, column, canvas->columns - column, style,
                        is_shown ? "[%s]" : " %s ", kNames[i]);
  }
  ht_put(canvas, row, column + 2, canvas->columns - column - 2, HT_WARNING,
         status_of(view, model).text);
}

// The line at the bottom: the keys, or in a narrow frame what is unusual.
static void draw_keys(const ht_view* view, const ht_model* model, ht_canvas* canvas) {
  status_line status = status_of(view, model);
  bool is_narrow = canvas->columns < HT_FULL_COLUMNS;
  bool has_status = is_narrow && status.text[0] != '\0';
  ht_put(canvas, canvas->rows - 1, 0, canvas->columns, has_status ? HT_WARNING : HT_LABEL,
         has_status ? status.text
         : is_narrow
             ? "q quit h help 1-5 pane s sort r p + -"
             : "q quit  h help  1-5 Tab pane  s < > sort  r reverse  p pause  + - interval");
}

static void draw_help(ht_canvas* canvas, ht_area area) {
  static const char* const kLines[] = {
      "1 to 5, Tab   the pane: overview, classes, events, kernel, past",
      "s S, > <      sort the classes by the next or the previous column",
      "r             reverse their order",
      "arrows, Page Up, Page Down, Home, End  scroll the classes or the events",
      "+ -           a longer or a shorter interval between frames",
      "p             pause; the frame after it covers the whole pause",
      "h, ?          this help, and back",
      "q, Ctrl-C     quit",
      "",
      "Rates are per second, between the last two states of the process's page.",
      "A figure that is not known is a \"-\".",
      "kernel share  system of all CPU time, where there is enough of it to tell",
      "retained      committed bytes that are not live, each with its one reason",
      "classes       counts are blocks: live are the program's, used is live of",
      "              capacity, cached are in thread caches; taken went from slabs to",
      "              thread caches, remote came back from threads not their owners",
  };
  int n_lines = (int)(sizeof(kLines) / sizeof(kLines[0]));
  for (int i = 0; i < n_lines && i < area.rows; i++) {
    ht_put(canvas, area.row + i, area.column, area.columns, HT_PLAIN, kLines[i]);
  }
}

// Retention beside the kernel's work; what is below the latter's rows is for the last events.
static void draw_upper(ht_canvas* canvas, ht_area area, const ht_model* model, bool has_events) {
  int half = area.columns / 2;
  int calls = area.rows < HT_CALLS_ROWS ? area.rows : HT_CALLS_ROWS;
  ht_area left = {area.row, 0, area.rows, half - 1};
  ht_area right = {area.row, half + 1, calls, area.columns - half - 1};
  ht_draw_retention(canvas, left, model);
  ht_draw_calls(canvas, right, model);
  if (!has_events || area.rows < HT_CALLS_ROWS + 2) return;
  right.row += HT_CALLS_ROWS;
  right.rows = area.rows - HT_CALLS_ROWS;
  ht_draw_events(canvas, right, model, NULL);
}

static void draw_overview(const ht_view* view, const ht_model* model, ht_canvas* canvas,
                          ht_area area) {
  unsigned order[HAK_N_CLASSES];
  int n_classes = (int)ht_classes_sorted(model, view->sort, view->is_reversed, order);
  // In a low frame the classes have half of it; in a narrow one the kernel has a pane of its own.
  int upper = area.rows - HT_RETENTION_ROWS >= 4 ? HT_RETENTION_ROWS : area.rows / 2;
  ht_area lower = {area.row + upper, 0, area.rows - upper, area.columns};
  area.rows = upper;
  // Where the classes leave room for more events than fit beside them, the events go below.
  ht_area below = {lower.row + n_classes + 2, 0, lower.rows - n_classes - 2, area.columns};
  bool has_room = below.rows > HT_RETENTION_ROWS - HT_CALLS_ROWS;
  if (area.columns >= HT_FULL_COLUMNS) {
    draw_upper(canvas, area, model, !has_room);
  } else {
    ht_draw_retention(canvas, area, model);
  }
  ht_draw_classes(canvas, lower, model, view, NULL);
  if (has_room) ht_draw_events(canvas, below, model, NULL);
}

static void draw_pane(ht_view* view, const ht_model* model, ht_canvas* canvas, ht_area area) {
  switch (view->pane) {
    case HT_OVERVIEW:
      draw_overview(view, model, canvas, area);
      break;
    case HT_CLASSES:
      ht_draw_classes(canvas, area, model, view, &view->scroll);
      break;
    case HT_EVENTS:
      ht_draw_events(canvas, area, model, &view->scroll);
      break;
    case HT_KERNEL:
      ht_draw_kernel(canvas, area, model);
      break;
    case HT_PAST:
      ht_draw_past(canvas, area, model);
      break;
    case HT_N_PANES:
      break;
  }
}

// ---- frames ----

static void draw_small(const ht_view* view, const ht_model* model, ht_canvas* canvas) {
  ht_printf(canvas, 1, 0, canvas->columns, HT_WARNING, "needs %dx%d, this is %dx%d", HT_MIN_COLUMNS,
            HT_MIN_ROWS, canvas->columns, canvas->rows);
  ht_put(canvas, 2, 0, canvas->columns, HT_WARNING, status_of(view, model).text);
  put_header(model, canvas, (ht_area){3, 0, canvas->rows - 3, canvas->columns}, 1);
}

void ht_view_draw(ht_view* view, const ht_model* model, ht_canvas* canvas) {
  draw_title(view, model, canvas);
  if (canvas->columns < HT_MIN_COLUMNS || canvas->rows < HT_MIN_ROWS) {
    draw_small(view, model, canvas);
    return;
  }
  int row = draw_header(model, canvas);
  draw_tabs(view, model, canvas, row);
  ht_area area = {row + 1, 0, canvas->rows - row - 2, canvas->columns};
  if (view->has_help) {
    draw_help(canvas, area);
  } else {
    draw_pane(view, model, canvas, area);
  }
  draw_keys(view, model, canvas);
}

ht_canvas ht_view_frame(const ht_view* view, const ht_model* model, int columns, bool has_utf8) {
  unsigned order[HAK_N_CLASSES];
  int n_classes = (int)ht_classes_sorted(model, view->sort, view->is_reversed, order);
  int n_events = (int)ht_event_count(model);
  // A blank row before each part.
  const int header = 1 + HEADER_FIGURES / FIGURES_IN_ROW;
  int upper = header + 1;
  int classes = upper + HT_RETENTION_ROWS + 1;
  int events = classes + 1 + n_classes + 1;
  ht_canvas canvas = ht_canvas_new(events + 1 + n_events, columns, has_utf8);
  draw_title(view, model, &canvas);
  draw_header(model, &canvas);
  ht_put(&canvas, header, 0, columns, HT_WARNING, status_of(view, model).text);
  draw_upper(&canvas, (ht_area){upper, 0, HT_RETENTION_ROWS, columns}, model, false);
  ht_draw_classes(&canvas, (ht_area){classes, 0, 1 + n_classes, columns}, model, view, NULL);
  ht_draw_events(&canvas, (ht_area){events, 0, 1 + n_events, columns}, model, NULL);
  return canvas;
}
