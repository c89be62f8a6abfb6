// The probes of samples, as a tracer has them: by the notes in the file, with a breakpoint in the
// place of the `nop`.

extern "C" {
#include "hakmem/include/hakmem/hakmem.h"
}

#include <fcntl.h>
#include <gtest/gtest.h>
#include <link.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "hakmem/testing/support.h"

namespace {

struct Probe {
  uintptr_t location = 0, semaphore = 0;  // in the file's terms
  std::vector<std::string> arguments;
};

// Those of this program, by their names: as readelf lists them.
std::map<std::string, Probe> ReadProbes() {
  std::string file = std::filesystem::canonical("/proc/self/exe");
  FILE* pipe = popen(("readelf -n '" + file + "'").c_str(), "r");
  std::map<std::string, Probe> probes;
  std::string provider;
  Probe* probe = nullptr;
  char line[1024];
  while (pipe != nullptr && fgets(line, sizeof line, pipe) != nullptr) {
    char text[256];
    unsigned long location, base, semaphore;
    if (sscanf(line, " Provider: %255s", text) == 1) {
      provider = text;
    } else if (sscanf(line, " Name: %255s", text) == 1) {
      probe = &probes[provider + ":" + text];
    } else if (sscanf(line, " Location: %lx, Base: %lx, Semaphore: %lx", &location, &base,
                      &semaphore) == 3) {
      probe->location = location;
      probe->semaphore = semaphore;
      EXPECT_NE(base, 0u);
    } else if (const char* list = strstr(line, "Arguments: ")) {
      std::istringstream arguments(list + strlen("Arguments: "));
      for (std::string argument; arguments >> argument;) probe->arguments.push_back(argument);
    }
  }
  if (pipe != nullptr) pclose(pipe);
  return probes;
}

uintptr_t Bias() {
  uintptr_t bias = 0;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        *static_cast<uintptr_t*>(out) = info->dlpi_addr;
        return 1;  // the first is the program
      },
      &bias);
  return bias;
}

TEST(Probes, AreInTheFile) {
  std::map<std::string, Probe> probes = ReadProbes();
  ASSERT_EQ(probes.size(), 2u);
  EXPECT_EQ(probes["otel_memory:alloc"].arguments.size(), 3u);
  EXPECT_EQ(probes["otel_memory:free"].arguments.size(), 1u);
  for (const auto& [name, probe] : probes) {
    EXPECT_NE(probe.location, 0u) << name;
    ASSERT_NE(probe.semaphore, 0u) << name;
    EXPECT_EQ(*reinterpret_cast<uint16_t*>(Bias() + probe.semaphore), 0u) << name;
    for (const std::string& argument : probe.arguments) EXPECT_EQ(argument.find("8@"), 0u) << name;
  }
}

#if defined(__x86_64__)

// What a probe was hit with, by the registers that its note names.
struct Hit {
  const std::string* name;
  uint64_t arguments[3];
};
Hit hits[16];
size_t n_hits;
std::map<uintptr_t, std::pair<std::string, std::vector<int>>> breakpoints;  // by address

int RegisterOf(const std::string& argument) {
  static const std::map<std::string, int> registers = {
      {"8@%rax", REG_RAX}, {"8@%rbx", REG_RBX}, {"8@%rcx", REG_RCX}, {"8@%rdx", REG_RDX},
      {"8@%rsi", REG_RSI}, {"8@%rdi", REG_RDI}, {"8@%rbp", REG_RBP}, {"8@%r8", REG_R8},
      {"8@%r9", REG_R9},   {"8@%r10", REG_R10}, {"8@%r11", REG_R11}, {"8@%r12", REG_R12},
      {"8@%r13", REG_R13}, {"8@%r14", REG_R14}, {"8@%r15", REG_R15}};
  auto found = registers.find(argument);
  EXPECT_NE(found, registers.end()) << argument;
  return found != registers.end() ? found->second : REG_RAX;
}

// Goes on behind the breakpoint, which has the `nop`'s length.
void OnTrap(int, siginfo_t*, void* context) {
  auto* at = static_cast<ucontext_t*>(context);
  auto found = breakpoints.find(static_cast<uintptr_t>(at->uc_mcontext.gregs[REG_RIP]) - 1);
  if (found == breakpoints.end() || n_hits == std::size(hits)) abort();
  Hit& hit = hits[n_hits++];
  hit.name = &found->second.first;
  for (size_t i = 0; i < found->second.second.size(); ++i) {
    hit.arguments[i] = static_cast<uint64_t>(at->uc_mcontext.gregs[found->second.second[i]]);
  }
}

// Listens to a probe, as the kernel does for a tracer.
void Attach(const std::string& name, const Probe& probe) {
  uintptr_t nop = Bias() + probe.location;
  std::vector<int> registers;
  for (const std::string& argument : probe.arguments) registers.push_back(RegisterOf(argument));
  breakpoints[nop] = {name, registers};
  // (Code is written to through the kernel.)
  int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
  unsigned char byte = 0;
  ASSERT_EQ(pread(memory, &byte, 1, static_cast<off_t>(nop)), 1);
  ASSERT_EQ(byte, 0x90);
  byte = 0xcc;
  ASSERT_EQ(pwrite(memory, &byte, 1, static_cast<off_t>(nop)), 1);
  close(memory);
  ++*reinterpret_cast<uint16_t*>(Bias() + probe.semaphore);
}

TEST_IN_CHILD(Probes, SayWhatIsSampled) {
  struct sigaction action = {};
  action.sa_sigaction = OnTrap;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGTRAP, &action, nullptr);
  std::map<std::string, Probe> probes = ReadProbes();
  for (const auto& [name, probe] : probes) Attach(name, probe);
  hak_free(hak_malloc(1000));
  EXPECT_EQ(n_hits, 0u) << "nothing is sampled yet";
  ASSERT_TRUE(hak_profile_start(1));
  void* small = hak_malloc(1000);
  void* large = hak_malloc(100000);
  void* stays = hak_malloc(5000);
  hak_profile_stop();
  void* other = hak_malloc(1000);
  for (void* block : {other, large, small}) hak_free(block);
  auto expect = [](size_t i, const char* name, std::vector<uint64_t> arguments) {
    EXPECT_EQ(*hits[i].name, name) << i;
    for (size_t k = 0; k < arguments.size(); ++k) EXPECT_EQ(hits[i].arguments[k], arguments[k]);
  };
  ASSERT_EQ(n_hits, 5u);
  auto address = [](void* block) { return reinterpret_cast<uint64_t>(block); };
  uint64_t sizes[] = {hak_good_size(1000), hak_good_size(100000), hak_good_size(5000)};
  expect(0, "otel_memory:alloc", {address(small), sizes[0], sizes[0]});
  expect(1, "otel_memory:alloc", {address(large), sizes[1], sizes[1]});
  expect(2, "otel_memory:alloc", {address(stays), sizes[2], sizes[2]});
  expect(3, "otel_memory:free", {address(large)});
  expect(4, "otel_memory:free", {address(small)});
  hak_free(stays);
}

#endif  // defined(__x86_64__)

}  // namespace
