// The parts with as many rows as there are classes or events, which scroll.

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hakmem/platform/platform.h"
#include "tools/haktop/panes.h"

// Of `n` rows those that are shown below the heading: from `first` on. What can scroll brings
// *scroll into range, and when not all rows fit, its last row says how many more there are.
typedef struct shown {
  int first;
  int count;
} shown;

static shown fit_rows(ht_canvas* canvas, ht_area area, int n, int* scroll) {
  int room = area.rows - 1;
  if (n <= room || scroll == NULL) {
    if (scroll != NULL) *scroll = 0;
    return (shown){0, n < room ? n : room};
  }
  room--;
  if (*scroll > n - room) *scroll = n - room;
  if (*scroll < 0) *scroll = 0;
  ht_printf(canvas, area.row + area.rows - 1, area.column, area.columns, HT_LABEL,
            "%d more above, %d below", *scroll, n - room - *scroll);
  return (shown){*scroll, room};
}

// ---- size classes ----

// Each as wide as its heading with the sign of the sorted column and a blank before it.
static const struct {
  const char* heading;
  int width;
  ht_format* format;
} kColumns[HT_CLASS_N_COLUMNS] = {
    [HT_CLASS_BLOCK_BYTES] = {"block", 6, ht_format_count},
    [HT_CLASS_LIVE] = {"live", 6, ht_format_count},
    [HT_CLASS_LIVE_BYTES] = {"bytes", 9, ht_format_bytes},
    [HT_CLASS_CAPACITY] = {"capacity", 10, ht_format_count},
    [HT_CLASS_OCCUPANCY] = {"used", 7, ht_format_percent},  // and its bar
    [HT_CLASS_SLABS] = {"slabs", 7, ht_format_count},
    [HT_CLASS_CACHED] = {"cached", 8, ht_format_count},
    [HT_CLASS_TAKEN] = {"taken/s", 9, ht_format_count},
    [HT_CLASS_REMOTE] = {"remote/s", 10, ht_format_count},
    [HT_CLASS_RETURNED] = {"returned/s", 12, ht_format_count},
    [HT_CLASS_REFILLS] = {"refills/s", 11, ht_format_count},
    [HT_CLASS_FLUSHES] = {"flushes/s", 11, ht_format_count},
    [HT_CLASS_OUTGOING] = {"outgoing", 10, ht_format_count},
    [HT_CLASS_ADOPTIONS] = {"adopted", 9, ht_format_count},
    [HT_CLASS_EXHAUSTIONS] = {"exhausted", 11, ht_format_count},
};

enum { MIN_BAR_WIDTH = 7, MAX_BAR_WIDTH = 30 };

int ht_view_class_columns(int canvas_columns) {
  int used = MIN_BAR_WIDTH + 1;
  int n = 0;
  while (n < HT_CLASS_N_COLUMNS && used + kColumns[n].width <= canvas_columns) {
    used += kColumns[n++].width;
  }
  return n;
}

// Columns left for the bar of the occupancy, when the first n columns are shown.
static int bar_width(int columns, int n) {
  for (int i = 0; i < n; i++) columns -= kColumns[i].width;
  return columns - 1 < MAX_BAR_WIDTH ? columns - 1 : MAX_BAR_WIDTH;
}

static void put_class_headings(ht_canvas* canvas, ht_area area, int n, int bar,
                               const ht_view* view) {
  int column = area.column;
  for (int i = 0; i < n; column += kColumns[i++].width) {
    bool is_sorted = (int)view->sort == i;
    const char* heading = kColumns[i].heading;
    ht_style style = is_sorted ? HT_SELECTED : HT_HEADING;
    ht_put_right(canvas, area.row, column, kColumns[i].width, style, heading);
    if (is_sorted) {
      int sign = column + kColumns[i].width - (int)strlen(heading) - 1;
      ht_put_sign(canvas, area.row, sign, HT_SELECTED, view->is_reversed ? L'\u25b2' : L'\u25bc',
                  view->is_reversed ? '^' : 'v');
    }
    if (i == HT_CLASS_OCCUPANCY) column += bar + 1;
  }
}

static void put_class(ht_canvas* canvas, ht_area area, int n, int bar, const ht_model* model,
                      unsigned size_class) {
  int column = area.column;
  for (int i = 0; i < n; column += kColumns[i++].width) {
    double value = ht_class_value(model, size_class, (ht_class_column)i);
    ht_put_right(canvas, area.row, column, kColumns[i].width, HT_PLAIN,
                 kColumns[i].format(value).text);
    if (i == HT_CLASS_OCCUPANCY) {
      ht_put_bar(canvas, area.row, column + kColumns[i].width + 1, bar, value);
      column += bar + 1;
    }
  }
}

void ht_draw_classes(ht_canvas* canvas, ht_area area, const ht_model* model, const ht_view* view,
                     int* scroll) {
  unsigned order[HAK_N_CLASSES];
  int n_classes = (int)ht_classes_sorted(model, view->sort, view->is_reversed, order);
  int n_columns = ht_view_class_columns(area.columns);
  int bar = bar_width(area.columns, n_columns);
  put_class_headings(canvas, area, n_columns, bar, view);
  shown rows = fit_rows(canvas, area, n_classes, scroll);
  for (int i = 0; i < rows.count; i++) {
    ht_area row = {area.row + 1 + i, area.column, 1, area.columns};
    put_class(canvas, row, n_columns, bar, model, order[rows.first + i]);
  }
}

// ---- events ----

enum { DESCRIPTION_BYTES = 160 };

// What an event is about. The page is a stranger's: kinds and classes need not be ones we know.
static void describe(const ht_model* model, const hak_event_t* event, bool has_address,
                     char text[DESCRIPTION_BYTES]) {
  char subject[64] = "";
  char amount[40] = "";
  char place[32] = "";
  if (event->kind == HAK_EVENT_KERNEL_FAILED) {
    const char* call = event->size_class < HAK_KERNEL_N_KINDS
                           ? hak_platform_kind_name((hak_kernel_kind_t)event->size_class)
                           : "call";
    snprintf(subject, sizeof(subject), "%s: %s", call, strerror(event->detail));
  } else if (event->size_class > 0 && event->size_class < HAK_N_CLASSES) {
    double block_bytes = ht_class_value(model, event->size_class, HT_CLASS_BLOCK_BYTES);
    snprintf(subject, sizeof(subject), "%s-byte blocks", ht_format_count(block_bytes).text);
  }
  if (event->bytes != 0) {
    snprintf(amount, sizeof(amount), "%s%s", subject[0] != '\0' ? ", " : "",
             ht_format_bytes((double)event->bytes).text);
  }
  if (has_address && event->address != 0) {
    snprintf(place, sizeof(place), " at 0x%" PRIx64, event->address);
  }
  snprintf(text, DESCRIPTION_BYTES, "%s%s%s", subject, amount, place);
}

// The writer reads the clock before it gathers the figures and copies the events.
static const uint64_t kNewestNs = 1000000000;

static double age_of(const hak_event_t* event, uint64_t now_ns) {
  if (now_ns == HAK_UNKNOWN) return NAN;
  if (event->time_ns <= now_ns) return (double)(now_ns - event->time_ns);
  return event->time_ns - now_ns < kNewestNs ? 0 : NAN;
}

static void put_event(ht_canvas* canvas, ht_area area, const ht_model* model,
                      const hak_event_t* event, bool is_wide) {
  char text[DESCRIPTION_BYTES];
  int column = area.column;
  ht_put_right(canvas, area.row, column, 7, HT_PLAIN,
               ht_format_duration(age_of(event, model->now.stats.time_ns)).text);
  column += 8;
  if (is_wide) {
    ht_printf(canvas, area.row, column, 11, HT_LABEL, "thread %" PRIu32, event->thread);
    column += 12;
  }
  const char* name = event->kind < HAK_EVENT_N_KINDS ? hak_event_name((hak_event_kind_t)event->kind)
                                                     : "unknown kind";
  bool is_bad = event->kind == HAK_EVENT_OUT_OF_MEMORY || event->kind == HAK_EVENT_KERNEL_FAILED ||
                event->kind == HAK_EVENT_AT_LIMIT;
  ht_put(canvas, area.row, column, 13, is_bad ? HT_WARNING : HT_PLAIN, name);
  column += 14;
  describe(model, event, is_wide, text);
  ht_put(canvas, area.row, column, area.column + area.columns - column, HT_PLAIN, text);
}

void ht_draw_events(ht_canvas* canvas, ht_area area, const ht_model* model, int* scroll) {
  int n_events = (int)ht_event_count(model);
  ht_printf(canvas, area.row, area.column, area.columns, HT_HEADING,
            "last events of %s, newest first",
            ht_format_count(ht_known(model->now.stats.events)).text);
  shown rows = fit_rows(canvas, area, n_events, scroll);
  for (int i = 0; i < rows.count; i++) {
    ht_area row = {area.row + 1 + i, area.column, 1, area.columns};
    put_event(canvas, row, model, &model->now.events[n_events - 1 - rows.first - i],
              area.columns >= HT_FULL_COLUMNS);
  }
}
