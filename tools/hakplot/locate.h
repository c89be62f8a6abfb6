// Where things are: the user's checkout, the newest results, the recordings that come with hakplot.

#ifndef HAKMEM_TOOLS_HAKPLOT_LOCATE_H_
#define HAKMEM_TOOLS_HAKPLOT_LOCATE_H_

#include "tools/hakplot/strings.h"

// The checkout the user works in, else ".".
const char* hp_workspace(void);

// How the user calls one of the tools: by its name, or through `bazel run` where that was used now.
const char* hp_command(const char* tool);

// The newest .jsonl file below results/ of the checkout or of the present folder; NULL: none.
const char* hp_newest_results(void);

// testdata/report of the checkout, or of the files that came with the program; NULL: none.
const char* hp_recordings(void);

#endif  // HAKMEM_TOOLS_HAKPLOT_LOCATE_H_
