// Reading: files and folders into the dataset. hp_read_buffer is the whole of the parsers and does
// no input or output; it is what the fuzzer calls.

#ifndef HAKMEM_TOOLS_HAKPLOT_READ_H_
#define HAKMEM_TOOLS_HAKPLOT_READ_H_

#include "tools/hakplot/dataset.h"
#include "tools/hakplot/perf_run.h"

// No line of any format is longer; a longer one is refused.
enum { HP_MAX_LINE_BYTES = 1 << 20 };

typedef struct hp_lines {
  const char* at;
  const char* end;
  size_t number;  // of the line that hp_next_line gave last, from 1
} hp_lines;

// The next line without its line end. False at the end.
bool hp_next_line(hp_lines* lines, hp_slice* line);

// Reads one file's content. `name` is what messages call it; `label` (may be NULL) names its phase,
// or goes before the names of its phases where it has several. False: data->error says why, and no
// row of it stays.
bool hp_read_buffer(hp_dataset* data, const char* name, const char* label, const char* content,
                    size_t size);

// Reads "PATH" or "LABEL=PATH": a file, or a folder with all files below it whose names end in
// .jsonl, .json, .csv or .txt. A file that fails is named on stderr and left out; without
// `keep_going` reading stops there. Returns how many failed.
size_t hp_read_argument(hp_dataset* data, const char* argument, bool keep_going);

// Once, when all is read: phases that are named by their files get as much of the path as tells
// them apart.
void hp_tell_files_apart(hp_dataset* data);

// Gives runs of perf stat, which cannot know it, their number of operations. NaN changes nothing.
void hp_assume_ops(hp_dataset* data, double ops);

// One line of JSON (read_json.c) and whole files of perf stat's other formats (read_perf.c). They
// set data->error and return false.
bool hp_read_json_line(hp_dataset* data, hp_perf_run* run, hp_slice line, size_t number);
bool hp_read_perf_text(hp_dataset* data, const char* name, const char* content, size_t size);
bool hp_read_perf_csv(hp_dataset* data, const char* name, const char* content, size_t size);

// Whether a number seems to be written with a decimal comma, and the cure.
bool hp_has_decimal_comma(hp_slice text);
#define HP_LOCALE_CURE "numbers with a decimal comma are ambiguous: record again with LC_ALL=C"

#endif  // HAKMEM_TOOLS_HAKPLOT_READ_H_
