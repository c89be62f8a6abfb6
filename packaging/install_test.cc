// //:install as its users meet it: what is put where, with which rights; programs of others built
// against it; the tools, away from the repository; and that a failure leaves nothing behind.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

#include "packaging/testing/fixture.h"

namespace hakmem_testing {
namespace {

namespace fs = std::filesystem;

// As `bazel run` starts it: in the runfiles, called from `directory`.
Outcome Install(const std::vector<std::string>& arguments, const std::string& directory,
                Environment environment = {}) {
  environment["BUILD_WORKING_DIRECTORY"] = directory;
  std::vector<std::string> argv = {Runfile("packaging/install")};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunProgram(argv, {"", environment, Runfile("")});
}

std::set<std::string> Matches(const std::string& text, const std::string& pattern) {
  std::regex regex(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end; ++at) {
    found.insert((*at)[1]);
  }
  return found;
}

// One installation for all tests that only look.
class InstallTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    prefix = new std::string(ScratchDirectory("installed") + "/prefix");
    Outcome outcome = Install({"--prefix", *prefix}, "/");
    ASSERT_TRUE(outcome.Succeeded()) << outcome;
  }
  static void TearDownTestSuite() { delete prefix; }

  static std::string* prefix;
};

std::string* InstallTest::prefix;

TEST_F(InstallTest, PutsFilesWithTheirRightsAndNothingElse) {
  std::string version = Version();
  std::string listing = Listing(*prefix);
  const std::string wanted[] = {
      "755 bin/hakplot",
      "755 bin/hakprof",
      "755 bin/hakrecord",
      "755 bin/hakrun",
      "755 bin/haktop",
      "644 include/hakmem/hakmem.h",
      "644 lib/cmake/hakmem/hakmemConfig.cmake",
      "644 lib/libhakmem.a",
      "link lib/libhakmem.so -> libhakmem.so.0",
      "link lib/libhakmem.so.0 -> libhakmem.so." + version,
      "644 lib/libhakmem.so." + version,
      "644 lib/pkgconfig/hakmem.pc",
      "755 libexec/hakmem/workloads/random_mixed",
      "644 share/man/man1/hakplot.1",
      "644 share/man/man1/hakprof.1",
      "644 share/man/man1/hakrecord.1",
      "644 share/man/man1/hakrun.1",
      "644 share/man/man1/haktop.1",
      "644 share/man/man3/hakmem.3",
  };
  for (const std::string& line : wanted) {
    EXPECT_NE(("\n" + listing).find("\n" + line + "\n"), std::string::npos) << line;
  }
  std::istringstream lines(listing);
  for (std::string mode, name; lines >> mode && std::getline(lines, name);) {
    EXPECT_TRUE(mode == "755" || mode == "644" || mode == "link") << mode << name;
    EXPECT_TRUE(std::regex_search(name, std::regex("^ (bin|include|lib|libexec|share)(/|$)")))
        << name;
    EXPECT_FALSE(std::regex_search(name, std::regex("\\.in$"))) << name << ": not filled in";
  }
  EXPECT_EQ(Shell("grep -rIl '@[A-Z_]*@' .", *prefix).out, "") << "not filled in";
}

// The version stands where Bazel can read it, and in the header for programs.
TEST_F(InstallTest, IsOfOneVersion) {
  std::string version = Version();
  EXPECT_EQ(Must("pkg-config --modversion hakmem", "/", UserOf(*prefix)), version + "\n");
  EXPECT_EQ(
      Must("readelf -d lib/libhakmem.so | sed -n 's/.*(SONAME).*\\[\\(.*\\)\\]/\\1/p'", *prefix),
      "libhakmem.so." + version.substr(0, version.find('.')) + "\n");
  EXPECT_NE(ReadFile(Runfile("MODULE.bazel")).find("version = \"" + version + "\",\n)"),
            std::string::npos);
  EXPECT_NE(ReadFile(*prefix + "/lib/cmake/hakmem/hakmemConfigVersion.cmake")
                .find("set(PACKAGE_VERSION \"" + version + "\")"),
            std::string::npos);
  // Of header and library ServesPrograms says so.
}

TEST_F(InstallTest, ExportsTheDocumentedFunctionsAndNothingElse) {
  std::string golden = ReadFile(Runfile("hakmem/testing/symbols.golden"));
  EXPECT_EQ(
      Must(
          "nm -D --defined-only lib/libhakmem.so | awk '$2 ~ /[A-Z]/ { print $3 }' | LC_ALL=C sort",
          *prefix),
      golden);
  EXPECT_EQ(
      Must("nm -g --defined-only lib/libhakmem.a | awk 'NF == 3 { print $3 }' | LC_ALL=C sort",
           *prefix),
      golden);
}

TEST_F(InstallTest, ServesProgramsHoweverTheyLink) { ExpectProgramsAreServed(*prefix); }

TEST_F(InstallTest, ServesProgramsThatPreloadIt) {
  EXPECT_EQ(Must("LD_PRELOAD=$P/lib/libhakmem.so python3 -c '\n"
                 "from ctypes import *\n"
                 "c = CDLL(None)\n"
                 "c.malloc.restype = c_void_p\n"
                 "c.hak_owns.restype = c_bool\n"
                 "print(c.hak_owns(c_void_p(c.malloc(100))))'",
                 "/", UserOf(*prefix)),
            "True\n");
}

TEST_F(InstallTest, IsFoundByCMake) {
  if (Shell("command -v cmake", "/").exit_code != 0) GTEST_SKIP() << "cmake is not installed";
  std::string directory = ScratchDirectory("cmake");
  WriteFile(directory + "/CMakeLists.txt",
            "cmake_minimum_required(VERSION 3.13)\n"
            "project(user C)\n"
            "find_package(hakmem " +
                Version() +
                " REQUIRED)\n"
                "foreach(kind hakmem static)\n"
                "  add_executable(with_${kind} $ENV{PROGRAM})\n"
                "  target_link_libraries(with_${kind} hakmem::${kind})\n"
                "  add_executable(silent_${kind} $ENV{SILENT_PROGRAM})\n"
                "  target_compile_options(silent_${kind} PRIVATE -fno-builtin)\n"
                "  target_link_options(silent_${kind} BEFORE PRIVATE -rdynamic -Wl,--as-needed)\n"
                "  target_link_libraries(silent_${kind} hakmem::${kind})\n"
                "endforeach()\n");
  Environment environment = UserOf(*prefix);
  Must("cmake -S . -B out -DCMAKE_PREFIX_PATH=$P && cmake --build out", directory, environment);
  environment["LD_LIBRARY_PATH"] = "";  // CMake leaves the library's place in the program
  for (const char* program : {"with", "silent"}) {
    for (const char* kind : {"hakmem", "static"}) {
      Must(std::string("./out/") + program + "_" + kind, directory, environment);
    }
  }
  WriteFile(
      directory + "/CMakeLists.txt",
      "cmake_minimum_required(VERSION 3.13)\nproject(user C)\nfind_package(hakmem 99 REQUIRED)\n");
  Outcome newer = Shell("cmake -S . -B out2 -DCMAKE_PREFIX_PATH=$P", directory, environment);
  EXPECT_NE(newer.exit_code, 0);
  EXPECT_NE(newer.err.find("version: " + Version()), std::string::npos) << newer;
}

TEST_F(InstallTest, ToolsFindWhatBelongsToThem) { ExpectToolsWork(*prefix); }

TEST_F(InstallTest, WorksWhereItIsMovedTo) {
  std::string moved = ScratchDirectory("moved") + "/elsewhere";
  fs::copy(*prefix, moved, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  ExpectProgramsAreServed(moved);
  ExpectToolsWork(moved);
}

TEST_F(InstallTest, ManualPagesRenderWithoutWarnings) {
  size_t pages = 0;
  for (const fs::directory_entry& entry :
       fs::recursive_directory_iterator(*prefix + "/share/man")) {
    if (!entry.is_regular_file()) continue;
    Outcome outcome = Shell("man --warnings -E UTF-8 -l " + entry.path().string(), "/");
    EXPECT_TRUE(outcome.Succeeded()) << outcome;
    EXPECT_EQ(outcome.err, "") << entry.path();
    EXPECT_NE(outcome.out.find("SEE ALSO"), std::string::npos) << entry.path();
    pages++;
  }
  EXPECT_EQ(pages, 1 + Matches(Listing(*prefix + "/bin"), " (hak[a-z]+)").size());
}

TEST_F(InstallTest, ManualOfTheLibraryNamesEachFunctionAndOption) {
  std::string page = ReadFile(*prefix + "/share/man/man3/hakmem.3");
  std::string header = ReadFile(*prefix + "/include/hakmem/hakmem.h");
  std::set<std::string> functions = Matches(header, "HAK_API [^;(]*[ *](hak_\\w+)\\(");
  EXPECT_GT(functions.size(), 15u);
  EXPECT_EQ(Matches(page, "\n\\.BI? \"[^\"]*[ *](hak_\\w+)\\("), functions);
  std::set<std::string> options =
      Matches(ReadFile(Runfile("docs/OPTIONS.md")), "\n\\| `(HAKMEM_\\w+)`");
  EXPECT_GT(options.size(), 5u);
  EXPECT_EQ(Matches(page, "\n\\.TP\n\\.B (HAKMEM_\\w+)\n"), options);
}

TEST_F(InstallTest, ManualsOfToolsNameEachOption) {
  for (const std::string& tool : Matches(Listing(*prefix + "/bin"), " (hak[a-z]+)")) {
    std::string help = Must("$P/bin/" + tool + " --help", "/", UserOf(*prefix));
    std::string page = ReadFile(*prefix + "/share/man/man1/" + tool + ".1");
    page = std::regex_replace(page, std::regex("\\\\-"), "-");
    std::set<std::string> options = Matches(help, "(?:^|\n) +(--[a-z-]+)");
    options.insert("--help");
    EXPECT_EQ(Matches(page, "\n\\.TP\n\\.BI? (--[a-z-]+)"), options) << tool;
  }
}

// ---- the installation itself ----

TEST(InstallCommandTest, TakesRelativePathsFromWhereTheUserStands) {
  std::string directory = ScratchDirectory("relative");
  Outcome outcome = Install({"--prefix=a folder/b"}, directory);
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_TRUE(fs::exists(directory + "/a folder/b/lib/libhakmem.so"));
}

TEST(InstallCommandTest, PutsAllBelowDestdir) {
  std::string directory = ScratchDirectory("destdir");
  Outcome outcome = Install({}, "/", {{"DESTDIR", directory}});
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  EXPECT_TRUE(fs::exists(directory + "/usr/local/lib/libhakmem.so"));
  EXPECT_NE(outcome.out.find(directory + "/usr/local\n"), std::string::npos) << outcome;
}

TEST(InstallCommandTest, ReplacesWhatIsThereWhateverTheUmask) {
  std::string directory = ScratchDirectory("again");
  std::string command =
      "umask 077; cd " + Runfile("") + "; packaging/install --prefix " + directory;
  Must(command, "/");
  std::string first = Listing(directory);
  EXPECT_EQ(first.find("755 bin\n"), 0u) << first;
  WriteFile(directory + "/include/hakmem/hakmem.h", "old");
  WriteFile(directory + "/bin/mine", "the user's own");
  Must(command, "/");
  EXPECT_NE(ReadFile(directory + "/include/hakmem/hakmem.h"), "old");
  EXPECT_EQ(ReadFile(directory + "/bin/mine"), "the user's own");
  fs::remove(directory + "/bin/mine");
  EXPECT_EQ(Listing(directory), first);
}

TEST(InstallCommandTest, RefusesBadArguments) {
  std::string directory = ScratchDirectory("arguments");
  const struct {
    std::vector<std::string> arguments;
    const char* message;
  } rows[] = {
      {{"--prefx", "x"}, "install: unknown argument: --prefx\n"},
      {{"x"}, "install: unknown argument: x\n"},
      {{"--prefix"}, "install: --prefix: expected a folder\n"},
      {{"--prefix="}, "install: --prefix: expected a folder\n"},
      {{"--prefix", ""}, "install: --prefix: expected a folder\n"},
  };
  for (const auto& row : rows) {
    Outcome outcome = Install(row.arguments, directory);
    EXPECT_EQ(outcome.exit_code, 2) << row.message;
    EXPECT_EQ(outcome.err.find(row.message), 0u) << outcome;
    EXPECT_NE(outcome.err.find("usage: bazel run //:install"), std::string::npos) << outcome;
  }
  EXPECT_EQ(Listing(directory), "");
  Outcome help = Install({"--help"}, directory);
  EXPECT_TRUE(help.Succeeded());
  EXPECT_EQ(help.out.find("usage: bazel run //:install"), 0u) << help;
}

TEST(InstallCommandTest, NamesThePrefixThatCannotBeWritten) {
  Outcome outcome = Install({"--prefix", "/proc/hakmem"}, "/");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.err, "install: cannot create /proc/hakmem: No such file or directory\n");
  std::string file = ScratchDirectory("file") + "/file";
  WriteFile(file, "");
  outcome = Install({"--prefix", file + "/prefix"}, "/");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.err, "install: cannot create " + file + ": File exists\n");
  if (geteuid() == 0) return;  // may write everywhere
  std::string closed = ScratchDirectory("closed");
  fs::permissions(closed, fs::perms::owner_read | fs::perms::owner_exec);
  outcome = Install({"--prefix", closed}, "/");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.err.find("install: cannot write to " + closed), 0u) << outcome;
}

TEST(InstallCommandTest, LeavesNothingBehindWhenItFails) {
  // A folder in a file's place.
  std::string directory = ScratchDirectory("blocked");
  fs::create_directories(directory + "/lib/libhakmem.a");
  std::string before = Listing(directory);
  Outcome outcome = Install({"--prefix", directory}, "/");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.err, "install: " + directory +
                             "/lib/libhakmem.a is a folder where a file is to be;"
                             " nothing was installed\n");
  EXPECT_EQ(Listing(directory), before);
  // A file in a folder's place.
  directory = ScratchDirectory("blocked");
  WriteFile(directory + "/share", "");
  before = Listing(directory);
  outcome = Install({"--prefix", directory}, "/");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.err, "install: cannot create " + directory + "/share: File exists\n");
  EXPECT_EQ(Listing(directory), before);
  // No room: files may have 40 blocks of 1024 bytes.
  directory = ScratchDirectory("full");
  outcome = Shell("ulimit -f 40; cd " + Runfile("") + "; packaging/install --prefix " + directory +
                      "/new/prefix",
                  "/");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("nothing was installed"), std::string::npos) << outcome;
  EXPECT_EQ(Listing(directory), "");
}

}  // namespace
}  // namespace hakmem_testing
