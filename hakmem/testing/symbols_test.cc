// What libhakmem.so shows to the dynamic linker: its symbols, needs, name and thread-local storage.

#include <elf.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "hakmem/testing/command.h"

namespace hakmem_testing {
namespace {

std::string Tool(const std::vector<std::string>& argv) {
  Outcome outcome = RunProgram(argv);
  EXPECT_TRUE(outcome.Succeeded()) << outcome;
  return outcome.out;
}

// Values of the dynamic section's entries of one kind, as readelf shows them in brackets.
std::vector<std::string> DynamicEntries(const std::string& kind) {
  std::istringstream lines(Tool({"readelf", "-dW", Library()}));
  std::vector<std::string> values;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("(" + kind + ")") == std::string::npos) continue;
    size_t begin = line.find('[') + 1;
    values.push_back(line.substr(begin, line.find(']') - begin));
  }
  return values;
}

TEST(SymbolsTest, ExportsTheDocumentedFunctionsAndNothingElse) {
  std::istringstream lines(Tool({"nm", "-D", "--defined-only", Library()}));
  std::set<std::string> exported;
  std::string value, type, name;
  while (lines >> value >> type >> name) {
    if (isupper(type[0])) exported.insert(name + "\n");  // lower case: local
  }
  std::string found;
  for (const std::string& symbol : exported) found += symbol;
  const char* golden = "hakmem/testing/symbols.golden";
  EXPECT_EQ(found, ReadFile(Runfile(golden)))
      << "If the change is meant: nm -D --defined-only bazel-bin/hakmem/libhakmem.so |"
      << " awk '$2 ~ /[A-Z]/ { print $3 }' | LC_ALL=C sort > " << golden;
}

TEST(SymbolsTest, NeedsNothingButTheCLibrary) {
  for (const std::string& library : DynamicEntries("NEEDED")) {
    bool is_libc = library == "libc.so.6" || library == "libpthread.so.0" ||
                   library == "libdl.so.2" || library.rfind("ld-linux", 0) == 0;
    EXPECT_TRUE(is_libc) << library;
  }
}

TEST(SymbolsTest, IsNamedAfterItsInterfaceVersion) {
  EXPECT_EQ(DynamicEntries("SONAME"), std::vector<std::string>{"libhakmem.so.0"});
}

// The dynamic linker keeps little room for the thread-local storage of libraries that are loaded
// later with initial-exec access: glibc's default surplus is 1664 bytes, for all of them.
TEST(SymbolsTest, ThreadLocalStorageIsSmall) {
  std::string file = ReadFile(Library());
  Elf64_Ehdr header;
  memcpy(&header, file.data(), sizeof header);
  size_t bytes = 0;
  for (int i = 0; i < header.e_phnum; i++) {
    Elf64_Phdr segment;
    memcpy(&segment, file.data() + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type == PT_TLS) bytes += segment.p_memsz;
  }
  EXPECT_GT(bytes, 0u) << "a thread cache without thread-local storage?";
  EXPECT_LE(bytes, 1024u);
}

}  // namespace
}  // namespace hakmem_testing
