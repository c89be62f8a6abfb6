// Blocks of another malloc that reach hakmem's free: the last line says whose they may be. And the
// library that keeps them from it where RTLD_DEEPBIND is the cause.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

std::string Path(const std::string& name) { return Runfile("hakmem/testing/wild/" + name); }
std::string NoDeepbind() { return Runfile("hakmem/nodeepbind/libnodeepbind.so"); }

Outcome Host(const std::string& action, const std::string& plugin, const std::string& preload) {
  RunOptions options;
  options.preload = preload;
  return RunProgram({Path("plugin_host"), action, plugin}, options);
}

// Without hakmem nothing is wrong with the exchange.
void ExpectDone(const Outcome& outcome) {
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_EQ(outcome.out, "done\n");
  EXPECT_EQ(outcome.err, "");
}

void ExpectLastLine(const Outcome& outcome, const std::string& pattern) {
  EXPECT_EQ(outcome.signal, SIGABRT) << outcome;
  EXPECT_THAT(outcome.err, MatchesRegex("hakmem: " + pattern + "\n"));
}

const char kOfLibc[] =
    "0x[0-9a-f]+ \\(another malloc's, in \\[heap\\]: libc's, which RTLD_DEEPBIND and handles of "
    "libc "
    "lead to\\), in thread [0-9]+";

TEST(PluginTest, ABlockOfLibcsHeapIsSaidToBe) {
  std::string plugin = Path("libplugin.so");
  for (const char* action : {"take", "resize", "give"}) ExpectDone(Host(action, plugin, ""));
  ExpectLastLine(Host("take", plugin, Library()),
                 std::string("free of a pointer that is not ours: ") + kOfLibc);
  ExpectLastLine(Host("resize", plugin, Library()),
                 std::string("realloc of a pointer that is not ours: ") + kOfLibc);
  ExpectLastLine(Host("handle", plugin, Library()),
                 std::string("free of a pointer that is not ours: ") + kOfLibc);
}

// libc's free ends the process, and knows nothing to say: no test can ask for more.
TEST(PluginTest, ABlockOfOursInLibcsFreeIsTheEnd) {
  EXPECT_FALSE(Host("give", Path("libplugin.so"), Library()).Succeeded());
}

TEST(PluginTest, WithoutTheFlagThereIsOneMalloc) {
  for (const std::string& preload :
       {NoDeepbind() + ":" + Library(), Library() + ":" + NoDeepbind()}) {
    for (const char* action : {"take", "resize", "give"}) {
      SCOPED_TRACE(action);
      ExpectDone(Host(action, Path("libplugin.so"), preload));
    }
  }
}

// The host finds the plug-in by its RUNPATH, which is the host's and nobody else's.
TEST(PluginTest, TheCallerOfDlopenStaysTheCaller) {
  ExpectDone(Host("take", "libplugin.so", ""));
  ExpectDone(Host("take", "libplugin.so", NoDeepbind() + ":" + Library()));
}

TEST(PluginTest, AnotherAllocatorsLibraryIsNamed) {
  std::string plugin = Path("libother_malloc.so");
  Outcome outcome = Host("other", plugin, Library());
  ExpectLastLine(
      outcome,
      "free of a pointer that is not ours: 0x[0-9a-f]+ \\(another malloc's, or no block at "
      "all; loaded is .*/libother_malloc.so\\), in thread [0-9]+");
  outcome = Host("static", plugin, Library());
  ExpectLastLine(outcome,
                 "free of a pointer that is not ours: 0x[0-9a-f]+ \\(static memory, or another "
                 "malloc's, in .*/libother_malloc.so\\), in thread [0-9]+");
}

}  // namespace
}  // namespace hakmem_testing
