// What the tests of packaging share: commands that must succeed, and programs that are built
// against an installed hakmem, as users would.

#ifndef HAKMEM_PACKAGING_TESTING_FIXTURE_H_
#define HAKMEM_PACKAGING_TESTING_FIXTURE_H_

#include <map>
#include <string>
#include <vector>

#include "hakmem/testing/command.h"

namespace hakmem_testing {

using Environment = std::map<std::string, std::string>;

// Runs `script` in bash from `directory`, with unset variables and failures in pipes as errors.
Outcome Shell(const std::string& script, const std::string& directory,
              const Environment& environment = {});

// The same; the test fails unless it succeeds. Returns what it wrote to stdout.
std::string Must(const std::string& script, const std::string& directory,
                 const Environment& environment = {});

// PKG_CONFIG_PATH and LD_LIBRARY_PATH for what is installed in `prefix`, beside its name as $P and
// the programs to build as $PROGRAM and $SILENT_PROGRAM.
Environment UserOf(const std::string& prefix);

// Builds and runs programs against what is installed in `prefix`, with all ways to link.
void ExpectProgramsAreServed(const std::string& prefix);

// Runs the installed tools from a folder with nothing in it: each must find what belongs to it.
void ExpectToolsWork(const std::string& prefix);

// "0.1.0", as packaging/version.bzl has it.
std::string Version();

// Files and links below `directory`, as "mode name" or "link name -> target", sorted; folders too.
std::string Listing(const std::string& directory);

}  // namespace hakmem_testing

#endif  // HAKMEM_PACKAGING_TESTING_FIXTURE_H_
