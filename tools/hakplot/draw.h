// Files of pictures: a folder with each figure's picture, script and numbers, and the page. Every
// file is written under a temporary name and renamed, so that none is ever seen half done. While an
// output is open, SIGINT, SIGTERM and SIGHUP only set is_interrupted; hp_output_close tidies up and
// then lets the signal end the process.

#ifndef HAKMEM_TOOLS_HAKPLOT_DRAW_H_
#define HAKMEM_TOOLS_HAKPLOT_DRAW_H_

#include <stdbool.h>

#include "tools/hakplot/figure.h"

typedef struct hp_output {
  const char* folder;
  unsigned formats;   // HP_SVG | HP_PNG | HP_PDF
  char* work;         // the temporary folder inside it; NULL: not open
  const char** made;  // names of the files that have got their place
  size_t made_count;
  bool has_failed;  // a picture could not be drawn; its message went to stderr
} hp_output;

// Makes the folders. False with a message on stderr.
bool hp_output_open(hp_output* output, const char* folder, unsigned formats);

// Whether a signal asked to stop: draw no more, and close.
bool hp_output_is_interrupted(void);

// Draws a figure. Returns its SVG; NULL where the pictures could not be drawn. The script and the
// numbers are written in any case.
const char* hp_output_draw(hp_output* output, const hp_figure* figure);

// Begins a file of that name for the folder, NULL where that fails; the other ends it (NULL: does
// nothing) and gives it its place. False with a message on stderr.
FILE* hp_output_begin(hp_output* output, const char* name);
bool hp_output_end(hp_output* output, FILE* file, const char* name);

void hp_output_close(hp_output* output);

#endif  // HAKMEM_TOOLS_HAKPLOT_DRAW_H_
