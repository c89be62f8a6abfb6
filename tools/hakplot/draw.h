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
  unsigned formats;  // HP_SVG | HP_PNG | HP_PDF
  char work[4096];   // the temporary folder inside it
  hp_text made;      // names of the files that have got their place, a line each
  bool has_failed;   // a picture could not be drawn; its message went to stderr
} hp_output;

// Makes the folders. False with a message on stderr.
bool hp_output_open(hp_output* output, const char* folder, unsigned formats);

// Whether a signal asked to stop: draw no more, and close.
bool hp_output_is_interrupted(void);

// Draws a figure; its SVG goes to `svg` too. Returns whether the pictures were drawn; the script
// and the numbers are written in any case.
bool hp_output_draw(hp_output* output, const hp_figure* figure, hp_text* svg);

// Writes a file of that name into the folder.
bool hp_output_write(hp_output* output, const char* name, const hp_text* content);

void hp_output_close(hp_output* output);

#endif  // HAKMEM_TOOLS_HAKPLOT_DRAW_H_
