// libFuzzer's entry to the parsers: any bytes as a file. See fuzz_test.sh.

extern "C" {
#include "tools/hakplot/group.h"
#include "tools/hakplot/read.h"
}

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* content, size_t size) {
  hp_dataset data;
  hp_dataset_init(&data);
  if (hp_read_buffer(&data, "fuzzed", nullptr, reinterpret_cast<const char*>(content), size)) {
    hp_assume_ops(&data, 1e6);
    hp_group_runs(&data);
  }
  hp_dataset_free(&data);
  return 0;
}
