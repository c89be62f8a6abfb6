// CMakeLists.txt builds and installs what Bazel does: the same sources with the same flags, a
// library of the same properties, the same files in the same places.

#include <gtest/gtest.h>
#include <jansson.h>
#include <string.h>

#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "packaging/testing/fixture.h"

namespace fs = std::filesystem;

namespace hakmem_testing {
namespace {

using Flags = std::multiset<std::string>;

class CMakeTest : public testing::Test {
 protected:
  // Copies the sources, builds them and installs them; all tests share the result.
  static void SetUpTestSuite() {
    ASSERT_TRUE(Shell("command -v cmake", "/").Succeeded())
        << "cmake is missing: ./bazelw test installs it";
    work = new std::string(ScratchDirectory("cmake"));
    Must("mkdir source && cd source && cp -rL " + Runfile("CMakeLists.txt") + " " +
             Runfile("hakmem") + " . && mkdir packaging && cp " + Runfile("packaging/version.bzl") +
             " " + Runfile("packaging") + "/*.in packaging",
         *work);
    // No build type: its flags would hide those of CMakeLists.txt.
    Must(
        "cmake -S source -B build -DCMAKE_BUILD_TYPE=None -DCMAKE_EXPORT_COMPILE_COMMANDS=ON"
        " -DCMAKE_INSTALL_LIBDIR=lib && cmake --build build -j 2 &&"
        " cmake --install build --prefix installed && mkdir bazel && tar -C bazel -xf " +
            Runfile("packaging/tree.tar"),
        *work);
  }
  static void TearDownTestSuite() {
    delete work;
    work = nullptr;
  }

  static std::string* work;
};

std::string* CMakeTest::work;

// By source, the flags that Bazel's targets state. Warnings are for those who work on hakmem.
std::map<std::string, Flags> BazelFlags() {
  std::map<std::string, Flags> flags;
  std::istringstream lines(ReadFile(Runfile("packaging/compile_lines.txt")));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string source, word;
    words >> source;
    flags[source];
    while (words >> word) {
      if (word.rfind("-W", 0) != 0) flags[source].insert(word);
    }
  }
  return flags;
}

// By source, the flags of the commands that CMake wrote, but for those that Bazel's toolchain and
// .bazelrc add to all targets.
std::map<std::string, Flags> CMakeFlags(const std::string& work) {
  const Flags everywhere = {
      "-std=gnu11",          "-fPIC",          "-O2", "-fno-omit-frame-pointer",
      "-ffunction-sections", "-fdata-sections"};
  std::map<std::string, Flags> flags;
  json_t* commands = json_load_file((work + "/build/compile_commands.json").c_str(), 0, nullptr);
  size_t i;
  json_t* entry;
  json_array_foreach(commands, i, entry) {
    const char* command = json_string_value(json_object_get(entry, "command"));
    if (strstr(command, "hakmem_objects.dir") == nullptr) continue;  // not of the library
    std::string file = json_string_value(json_object_get(entry, "file"));
    std::string source = fs::path(file).lexically_relative(work + "/source");
    Flags& own = flags[source];
    std::istringstream words(command);
    std::string word;
    words >> word;  // the compiler
    while (words >> word) {
      if (word == "-o" || word == "-c") {
        words >> word;
      } else if (word.rfind("-I", 0) != 0) {
        own.insert(word);
      }
    }
    for (const std::string& flag : everywhere) {
      EXPECT_EQ(own.count(flag), 1u) << source << ": " << flag;
      own.erase(flag);
    }
  }
  json_decref(commands);
  return flags;
}

TEST_F(CMakeTest, CompilesTheSourcesThatBazelCompilesWithItsFlags) {
  std::map<std::string, Flags> bazel = BazelFlags();
  EXPECT_GT(bazel.size(), 30u);
  EXPECT_EQ(CMakeFlags(*work), bazel);
}

TEST_F(CMakeTest, TheLibraryHasThePropertiesOfBazels) {
  // What it needs, is called, and asks of the dynamic linker; its symbols; whether the order of its
  // variables was respected: the last is the largest.
  for (
      const char* properties :
      {"readelf -d lib/libhakmem.so | sed -n 's/.*(\\(NEEDED\\|SONAME\\|FLAGS\\|FLAGS_1\\))/\\1/p'",
       "nm -D --defined-only lib/libhakmem.so | awk '{ print $2, $3 }' | LC_ALL=C sort",
       "nm -g --defined-only lib/libhakmem.a | awk 'NF == 3 { print $2, $3 }' | LC_ALL=C sort",
       "nm --numeric-sort lib/libhakmem.so | awk '$2 == \"b\" { last = $3 } END { print last }'"}) {
    std::string wanted = Must(properties, *work + "/bazel");
    EXPECT_NE(wanted, "");
    EXPECT_EQ(Must(properties, *work + "/installed"), wanted) << properties;
  }
}

// All that Bazel installs but the tools and manual pages, with the same text.
TEST_F(CMakeTest, InstallsTheFilesThatBazelInstalls) {
  const std::string list = "find lib include -not -type d -printf '%y %p %l\\n' | LC_ALL=C sort";
  EXPECT_EQ(Must(list, *work + "/installed"), Must(list, *work + "/bazel"));
  Must("for part in include lib/pkgconfig lib/cmake; do diff -r bazel/$part installed/$part; done",
       *work);
}

TEST_F(CMakeTest, ServesProgramsHoweverTheyLink) { ExpectProgramsAreServed(*work + "/installed"); }

// As on Debian, whose libraries are in a folder of the architecture's.
TEST_F(CMakeTest, TheFolderOfLibrariesMayLieDeeper) {
  Must(
      "cmake -S source -B build -DCMAKE_INSTALL_LIBDIR=lib/triplet &&"
      " cmake --install build --prefix deep",
      *work);
  Environment user = UserOf(*work + "/deep");
  user["PKG_CONFIG_PATH"] = *work + "/deep/lib/triplet/pkgconfig";
  user["LD_LIBRARY_PATH"] = *work + "/deep/lib/triplet";
  Must("cc $PROGRAM $(pkg-config --cflags --libs hakmem) -o a.out && ./a.out", *work, user);
}

}  // namespace
}  // namespace hakmem_testing
