// Shell commands, run as a packager runs them.

#include "packaging/testing/fixture.h"

#include <gtest/gtest.h>
#include <string.h>

namespace hakmem_testing {

Outcome Shell(const std::string& script, const std::string& directory,
              const Environment& environment) {
  RunOptions options;
  options.directory = directory;
  options.environment = environment;
  options.environment["LC_ALL"] = "C.UTF-8";
  return RunProgram({"bash", "-euo", "pipefail", "-c", script}, options);
}

std::string Must(const std::string& script, const std::string& directory,
                 const Environment& environment) {
  Outcome outcome = Shell(script, directory, environment);
  EXPECT_TRUE(outcome.Succeeded()) << script << "\n" << outcome;
  return outcome.out;
}

Environment UserOf(const std::string& prefix) {
  return {{"P", prefix},
          {"PROGRAM", Runfile("packaging/testing/program.c")},
          {"SILENT_PROGRAM", Runfile("packaging/testing/silent_program.c")},
          {"PKG_CONFIG_PATH", prefix + "/lib/pkgconfig"},
          {"LD_LIBRARY_PATH", prefix + "/lib"}};
}

void ExpectProgramsAreServed(const std::string& prefix) {
  const std::string wanted = "hakmem " + Version() + " (header " + Version() + ") serves malloc\n";
  const char* const commands[] = {
      // The shared library; the header brings no warnings.
      "cc -O2 -Wall -Wextra -Werror $PROGRAM $(pkg-config --cflags --libs hakmem) -o a.out"
      " && ./a.out",
      "c++ -O2 -Wall -Wextra -Werror -x c++ $PROGRAM -x none $(pkg-config --cflags --libs hakmem)"
      " -o a.out && ./a.out",
      // The archive, in a program that is static altogether and in one that is not.
      "cc $PROGRAM -static $(pkg-config --static --cflags --libs hakmem) -o a.out && ./a.out",
      "c++ -x c++ $PROGRAM -x none -static $(pkg-config --static --cflags --libs hakmem) -o a.out"
      " && ./a.out",
      "cc $PROGRAM -I$P/include $P/lib/libhakmem.a -o a.out && LD_LIBRARY_PATH= ./a.out",
  };
  for (const char* command : commands) {
    std::string directory = ScratchDirectory("program");
    EXPECT_EQ(Must(command, directory, UserOf(prefix)), wanted) << command;
  }
  // Linkers of some distributions drop libraries that no name is asked of.
  for (const char* link : {"-Wl,--as-needed", "-Wl,-Bstatic"}) {
    std::string command = "cc -fno-builtin $SILENT_PROGRAM -rdynamic " + std::string(link) +
                          " $(pkg-config --libs hakmem) -Wl,-Bdynamic -o a.out && ./a.out";
    Must(command, ScratchDirectory("silent"), UserOf(prefix));
  }
}

void ExpectToolsWork(const std::string& prefix) {
  std::string directory = ScratchDirectory("tools");
  Environment environment = UserOf(prefix);
  // Not the environment of `bazel test`, in which tools would find the build's own files.
  std::string clean = "unset RUNFILES_DIR TEST_SRCDIR LD_LIBRARY_PATH; PATH=$P/bin:$PATH; ";

  std::string listed = Must(clean + "hakrun --list", directory, environment);
  EXPECT_NE(listed.find("smoke "), std::string::npos) << listed;

  Must(clean + "hakrun smoke --runs 1 --only random_mixed >/dev/null", directory, environment);
  // One record a phase: system, hakmem, hakmem linked, no allocator.
  std::string served =
      Must("cat results/smoke/*.jsonl | grep -o '\"allocator_path\":[^,]*\\|\"status\":[^,}]*'",
           directory);
  std::string library =
      "\"allocator_path\":\"" + prefix + "/lib/libhakmem.so." + Version() + "\"\n";
  std::string program =
      "\"allocator_path\":\"" + prefix + "/libexec/hakmem/workloads/random_mixed\"\n";
  EXPECT_NE(served.find(library), std::string::npos) << served;
  EXPECT_NE(served.find(program), std::string::npos) << served;
  size_t ok = 0;
  for (size_t at = 0; (at = served.find("\"status\":\"ok\"", at)) != std::string::npos; at++) ok++;
  EXPECT_EQ(ok, 4u) << served;

  std::string drawn =
      Must(clean + "hakplot --format term --chart throughput", directory, environment);
  EXPECT_NE(drawn.find("results/smoke/"), std::string::npos) << drawn;
  std::string recordings = Must(clean + "hakplot --format term --chart throughput",
                                ScratchDirectory("empty"), environment);
  EXPECT_NE(recordings.find("share/hakmem/testdata/report"), std::string::npos) << recordings;

  Must(clean + "hakrecord -o trace.txt sh -c 'echo done'", directory, environment);
  Must(clean + "$P/libexec/hakmem/workloads/replay trace.txt", directory, environment);

  std::string held = Must(clean +
                              "HAKMEM_PROFILE=1,$PWD/heap.pb LD_PRELOAD=$P/lib/libhakmem.so ls\n"
                              "hakprof top heap.pb --value alloc_space",
                          directory, environment);
  EXPECT_NE(held.find("alloc_space of heap.pb: "), std::string::npos) << held;

  std::string watched =
      Must(clean +
               "HAKMEM_TELEMETRY_SHM=1 LD_PRELOAD=$P/lib/libhakmem.so sleep 60 & pid=$!\n"
               "trap 'kill $pid' EXIT\n"
               "tries=0; until haktop --once --interval 50 $pid 2>message; do\n"
               "  [[ $((tries += 1)) -lt 50 ]] || { cat message >&2; exit 1; }\n"
               "  sleep 0.1\n"
               "done",
           directory, environment);
  EXPECT_NE(watched.find("sleep"), std::string::npos) << watched;
}

std::string Version() {
  std::string text = ReadFile(Runfile("packaging/version.bzl"));
  size_t begin = text.find("\nVERSION = \"") + strlen("\nVERSION = \"");
  return text.substr(begin, text.find('"', begin) - begin);
}

std::string Listing(const std::string& directory) {
  return Must(
      "find . -mindepth 1 -type l -printf 'link %P -> %l\\n' -or -mindepth 1 -printf '%m %P\\n'"
      " | LC_ALL=C sort -k2",
      directory);
}

}  // namespace hakmem_testing
