// The parts that frames are made of (view.h). Each draws into the rows and columns it is given and
// nowhere else.

#ifndef HAKMEM_TOOLS_HAKTOP_PANES_H_
#define HAKMEM_TOOLS_HAKTOP_PANES_H_

#include "tools/haktop/format.h"
#include "tools/haktop/view.h"

typedef struct ht_area {
  int row, column;
  int rows, columns;
} ht_area;

// A figure with its name: the name is put at the left, the value at the right.
typedef struct ht_figure {
  const char* name;
  ht_format* format;
  double value;
  const char* text;  // in the place of a single value; NULL: none
  ht_style style;
} ht_figure;

// In rows of as many as `in_row`.
void ht_put_figures(ht_canvas* canvas, ht_area area, const ht_figure* figures, int n_figures,
                    int in_row);

// Rows a part takes, with its heading.
enum { HT_RETENTION_ROWS = 1 + HT_N_REASONS, HT_CALLS_ROWS = 1 + HT_N_KERNEL_CALLS };
static_assert(HT_CALLS_ROWS + 2 <= HT_RETENTION_ROWS, "the overview has room for the last event");

void ht_draw_retention(ht_canvas* canvas, ht_area area, const ht_model* model);

// Rates of the calls into the kernel; and the whole pane about them.
void ht_draw_calls(ht_canvas* canvas, ht_area area, const ht_model* model);
void ht_draw_kernel(ht_canvas* canvas, ht_area area, const ht_model* model);

// What each figure was over the last states: a column for each.
void ht_draw_past(ht_canvas* canvas, ht_area area, const ht_model* model);

// A heading and as many rows as fit, from row *scroll on, which is brought into range; NULL where
// it cannot scroll.
void ht_draw_classes(ht_canvas* canvas, ht_area area, const ht_model* model, const ht_view* view,
                     int* scroll);
void ht_draw_events(ht_canvas* canvas, ht_area area, const ht_model* model, int* scroll);

#endif  // HAKMEM_TOOLS_HAKTOP_PANES_H_
