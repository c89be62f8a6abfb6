// The main function of tests that run on hakmem themselves: preloaded, unless the test is linked
// with it. Before any test runs, it makes sure that malloc is hakmem's.

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hakmem/testing/command.h"

extern "C" bool hak_owns(const void* ptr) __attribute__((weak));

namespace {

bool IsServed() {
  using Owns = bool (*)(const void*);
  Owns owns =
      hak_owns != nullptr ? hak_owns : reinterpret_cast<Owns>(dlsym(RTLD_DEFAULT, "hak_owns"));
  void* volatile block = malloc(1);
  bool is_served = owns != nullptr && owns(block);
  free(block);
  return is_served;
}

}  // namespace

int main(int argc, char** argv) {
  if (!IsServed()) {
    if (getenv("LD_PRELOAD") != nullptr) {
      fprintf(stderr, "malloc is not hakmem's, with LD_PRELOAD=%s\n", getenv("LD_PRELOAD"));
      return 1;
    }
    setenv("LD_PRELOAD", hakmem_testing::Library().c_str(), 1);
    execv("/proc/self/exe", argv);
    perror("exec");
    return 1;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
