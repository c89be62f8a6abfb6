// The allocator before main and after it: in constructors and in the dynamic linker, in destructors
// of threads and of the process, loaded late, linked statically.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

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

// Where the C++ library is not the program's: then its functions have to be found elsewhere.
TEST(LifecycleTest, AStaticProgramRunsOutOfMemory) {
  ExpectDone({Runfile("hakmem/testing/bad_alloc_program")}, "");
}

TEST(LifecycleTest, APluginRunsOutOfMemory) {
  ExpectDone(
      {Runfile("hakmem/testing/plugin_host_program"), Runfile("hakmem/testing/libbad_alloc.so")},
      Library());
}

// The program forks.
TEST(LifecycleTest, AMisspeltOptionIsNamedOnce) {
  RunOptions options;
  options.environment = {{"HAKMEM_PURGE_DELAYS", "0"}};
  Outcome outcome = RunProgram({Runfile("hakmem/testing/static_program")}, options);
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.err,
            "hakmem: HAKMEM_PURGE_DELAYS is not an option (did you mean HAKMEM_PURGE_DELAY?); it "
            "is ignored\n");
}

// A copy that runs as another user than who calls it.
TEST(LifecycleTest, AProgramWithMoreRightsThanItsCallerKeepsOffTheEnvironment) {
  std::string program = ScratchDirectory("setuid") + "/program";
  std::filesystem::copy_file(Runfile("hakmem/testing/static_program"), program);
  if (chown(program.c_str(), 65534, 65534) != 0 || chmod(program.c_str(), 04755) != 0) {
    GTEST_SKIP() << "only root can make it, and where there is another user";
  }
  RunOptions options;
  options.environment = {{"HAKMEM_PURGE_DELAYS", "0"}, {"HAKMEM_SS_DEBUG", "1"}};
  Outcome outcome = RunProgram({program}, options);
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.err, "");
}

}  // namespace
}  // namespace hakmem_testing
