// The allocator before main and after it: in constructors and in the dynamic linker, in destructors
// of threads and of the process, loaded late, linked statically.

#include <gtest/gtest.h>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

void ExpectDone(const std::vector<std::string>& argv, const std::string& preload) {
  RunOptions options;
  options.preload = preload;
  Outcome outcome = RunProgram(argv, options);
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.out, "done\n");
  EXPECT_EQ(outcome.err, "");
}

std::string Interposer() { return Runfile("hakmem/testing/libinterposer.so"); }
std::string LateProgram() { return Runfile("hakmem/testing/late_program"); }

TEST(LifecycleTest, ThreadAndProcessEnds) { ExpectDone({LateProgram()}, Library()); }

TEST(LifecycleTest, LinkedIn) { ExpectDone({Runfile("hakmem/testing/late_program_linked")}, ""); }

// The library loaded first initialises last.
TEST(LifecycleTest, InterposersThatAllocateBefore) {
  ExpectDone({LateProgram()}, Library() + ":" + Interposer());
}

TEST(LifecycleTest, InterposersThatAllocateAfter) {
  ExpectDone({LateProgram()}, Interposer() + ":" + Library());
}

TEST(LifecycleTest, LoadedBesideLibcsMalloc) {
  ExpectDone({Runfile("hakmem/testing/dlopen_program"), Library()}, "");
}

TEST(LifecycleTest, StaticProgram) {
  ExpectDone({Runfile("hakmem/testing/static_program")}, "");
  Outcome outcome = RunProgram({"readelf", "-lW", Runfile("hakmem/testing/static_program")});
  EXPECT_EQ(outcome.out.find("INTERP"), std::string::npos) << "it is not static";
}

}  // namespace
}  // namespace hakmem_testing
