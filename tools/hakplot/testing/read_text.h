// For tests and the fuzzer of hakplot: reads a text as if it were a file's content, and gathers
// what is written to a stream.

#ifndef HAKMEM_TOOLS_HAKPLOT_TESTING_READ_TEXT_H_
#define HAKMEM_TOOLS_HAKPLOT_TESTING_READ_TEXT_H_

#include <cstdio>
#include <cstdlib>
#include <string>

extern "C" {
#include "tools/hakplot/read.h"
}

namespace hakplot_testing {

inline bool ReadText(hp_dataset* data, const char* name, const char* label, const char* content,
                     size_t size) {
  // fmemopen reads no more than it is given, and does not take nothing.
  FILE* stream =
      size > 0 ? fmemopen(const_cast<char*>(content), size, "r") : fopen("/dev/null", "r");
  bool is_good = hp_read_stream(data, name, label, stream);
  fclose(stream);
  return is_good;
}

// What `write` writes to the stream that it is given.
template <typename Write>
std::string Written(Write write) {
  char* text = nullptr;
  size_t size = 0;
  FILE* stream = open_memstream(&text, &size);
  write(stream);
  fclose(stream);
  std::string written(text, size);
  free(text);
  return written;
}

}  // namespace hakplot_testing

#endif  // HAKMEM_TOOLS_HAKPLOT_TESTING_READ_TEXT_H_
