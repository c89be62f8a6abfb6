// Reading: files and folders into the dataset. hp_read_stream is the whole of the parsers.

#ifndef HAKMEM_TOOLS_HAKPLOT_READ_H_
#define HAKMEM_TOOLS_HAKPLOT_READ_H_

#include <stdio.h>

#include "tools/hakplot/dataset.h"
#include "tools/hakplot/perf_run.h"

// No line of any format is longer; a longer one is refused.
enum { HP_MAX_LINE_BYTES = 1 << 20 };

// Reads one file's content. `name` is what messages call it; `label` (may be NULL) names its phase,
// or goes before the names of its phases where it has several. False: data->error says why, and no
// row of it stays.
bool hp_read_stream(hp_dataset* data, const char* name, const char* label, FILE* stream);

// Reads "PATH" or "LABEL=PATH": a file, or a folder with all files below it whose names end in
// .jsonl, .json, .csv or .txt. A file that fails is named on stderr and left out; without
// `keep_going` reading stops there. Returns how many failed.
size_t hp_read_argument(hp_dataset* data, const char* argument, bool keep_going);

// Once, when all is read: phases that are named by their files get as much of the path as tells
// them apart.
void hp_tell_files_apart(hp_dataset* data);

// Gives runs of perf stat, which cannot know it, their number of operations. NaN changes nothing.
void hp_assume_ops(hp_dataset* data, double ops);

// One line of JSON (read_json.c) and one of `perf stat -x` (read_perf.c). They set data->error and
// return false.
bool hp_read_json_line(hp_dataset* data, hp_perf_run* run, const char* line, size_t number);
bool hp_read_perf_line(hp_dataset* data, hp_perf_run* run, const char* line, size_t number);

// The cure, behind `before`, where a number seems to be written with a decimal comma; else "".
const char* hp_locale_cure(const char* text, const char* before);

#endif  // HAKMEM_TOOLS_HAKPLOT_READ_H_
