// gnuplot: scripts from figures, and running them. A script is self-contained: style, layout and
// numbers in one file that a user can edit and run again (`gnuplot NAME.gp`).
//
// Safety: texts that come from files reach a script only inside single quotes with quotes doubled,
// where gnuplot evaluates nothing, and only as clean text (hp_clean); numbers only as printed
// doubles in data blocks. No shell is started.

#ifndef HAKMEM_TOOLS_HAKPLOT_GNUPLOT_H_
#define HAKMEM_TOOLS_HAKPLOT_GNUPLOT_H_

#include "tools/hakplot/figure.h"
#include "tools/hakplot/strings.h"

enum { HP_SVG = 1, HP_PNG = 2, HP_PDF = 4, HP_TERMINAL = 8 };

// Writes the script that draws `figure` in each of the formats.
void hp_gnuplot_script(const hp_figure* figure, unsigned formats, FILE* script);

// Runs the script in `folder`, where its output goes; what gnuplot says of it goes to the file
// `message` there. Returns NULL, or why nothing was drawn.
const char* hp_gnuplot_run(const char* folder, const char* script, const char* message);

#endif  // HAKMEM_TOOLS_HAKPLOT_GNUPLOT_H_
