// What haktop shows, drawn on a canvas: the same for the terminal and for --once.
//
// A frame is the header (the process and its allocator), one pane, and a line of keys. Its parts
// take what room there is, and stand beside each other from HT_FULL_COLUMNS on; below
// HT_MIN_COLUMNS by HT_MIN_ROWS cells it says so and lists the header's figures.

#ifndef HAKMEM_TOOLS_HAKTOP_VIEW_H_
#define HAKMEM_TOOLS_HAKTOP_VIEW_H_

#include "tools/haktop/canvas.h"
#include "tools/haktop/model.h"

enum { HT_MIN_COLUMNS = 40, HT_MIN_ROWS = 10, HT_FULL_COLUMNS = 80 };

typedef enum ht_pane {
  HT_OVERVIEW,
  HT_CLASSES,
  HT_EVENTS,
  HT_KERNEL,
  HT_PAST,
  HT_N_PANES,
} ht_pane;

// What the user chose.
typedef struct ht_view {
  ht_pane pane;
  bool has_help;
  bool is_paused;
  ht_class_column sort;
  bool is_reversed;
  int scroll;  // first row shown of a pane that has more; drawing brings it into range
  double interval_s;
} ht_view;

// What is shown at first: the overview, classes by how many of their blocks are taken.
ht_view ht_view_new(double interval_s);

void ht_view_draw(ht_view* view, const ht_model* model, ht_canvas* canvas);

// One frame with everything in it, as high as it needs to be. To be freed.
ht_canvas ht_view_frame(const ht_view* view, const ht_model* model, int columns, bool has_utf8);

// The columns of the table of classes that there is room for: the first ones.
int ht_view_class_columns(int canvas_columns);

#endif  // HAKMEM_TOOLS_HAKTOP_VIEW_H_
