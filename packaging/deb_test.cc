// The Debian package: what it says of itself, what is in it, and that what it holds works. It is
// unpacked, never installed.

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <sstream>

#include "packaging/testing/fixture.h"

namespace hakmem_testing {
namespace {

std::string Architecture() {
#if defined(__x86_64__)
  return "amd64";
#elif defined(__aarch64__)
  return "arm64";
#endif
}

std::string Package() {
  return Runfile("packaging/hakmem_" + Version() + "_" + Architecture() + ".deb");
}

std::string Field(const std::string& name) {
  return Must("dpkg-deb -f " + Package() + " " + name, "/");
}

TEST(DebTest, SaysWhatItIs) {
  EXPECT_EQ(Field("Package"), "hakmem\n");
  EXPECT_EQ(Field("Version"), Version() + "\n");
  EXPECT_EQ(Field("Architecture"), Architecture() + "\n");
  EXPECT_EQ(Shell("dpkg-deb -f " + Package() + " | grep '@[A-Z_]*@'", "/").out, "")
      << "not filled in";
  // Read from the programs: the C library, and the only others that they link.
  std::istringstream depends(Field("Depends"));
  for (std::string one; std::getline(depends >> std::ws, one, ',');) {
    static const char* const kKnown[] = {
        "libc6 (>= ", "libdw1",       "libelf1",   "libgsl27",      "libgslcblas0", "libjansson4",
        "libmd0",     "libncursesw6", "libtinfo6", "libunistring2", "libzstd1",     "zlib1g"};
    EXPECT_TRUE(std::any_of(std::begin(kKnown), std::end(kKnown), [&](const char* known) {
      return one.rfind(known, 0) == 0;
    })) << one;
  }
}

TEST(DebTest, TellsTheDynamicLinkerAndOtherPackages) {
  std::string directory = ScratchDirectory("control");
  Must("dpkg-deb --control " + Package() + " control", directory);
  EXPECT_EQ(ReadFile(directory + "/control/triggers"), "activate-noawait ldconfig\n");
  EXPECT_EQ(ReadFile(directory + "/control/shlibs"), "libhakmem 0 hakmem\n");
}

TEST(DebTest, HoldsWhatIsInstalledWithRootAsOwner) {
  std::string directory = ScratchDirectory("compared");
  Must("dpkg-deb -x " + Package() + " package && mkdir tree && tar -xpf " +
           Runfile("packaging/tree.tar") + " -C tree --no-same-owner",
       directory);
  std::string package = Must(
      "cd package/usr && find . -mindepth 1 | sed 's/^\\(.*man.*\\)\\.gz$/\\1/' |"
      " grep -v '^./share/doc' | LC_ALL=C sort",
      directory);
  EXPECT_EQ(package, Must("cd tree && find . -mindepth 1 | LC_ALL=C sort", directory));
  EXPECT_EQ(Must("dpkg-deb -c " + Package() + " | awk '$2 != \"root/root\"'", "/"), "");
  Must("dpkg-deb --control " + Package() + " control && cd package && md5sum --quiet -c" +
           " ../control/md5sums",
       directory);
  EXPECT_EQ(ReadFile(directory + "/package/usr/share/doc/hakmem/copyright"),
            ReadFile(Runfile("LICENSE")));
}

TEST(DebTest, ServesProgramsAndItsToolsWork) {
  std::string directory = ScratchDirectory("unpacked");
  Must("dpkg-deb -x " + Package() + " .", directory);
  ExpectProgramsAreServed(directory + "/usr");
  ExpectToolsWork(directory + "/usr");
}

}  // namespace
}  // namespace hakmem_testing
