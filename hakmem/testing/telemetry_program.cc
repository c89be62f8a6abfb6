// A program for telemetry_test: does what its first argument names, on the hak_ functions.

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"

// The leak check of AddressSanitizer stops all threads when a process ends: in a forked child it
// waits for those that only the parent has.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

namespace {

using Arguments = std::vector<std::string>;

int Number(const Arguments& arguments, size_t at) {
  return at < arguments.size() ? atoi(arguments[at].c_str()) : 0;
}

void Churn(unsigned seed, int rounds) {
  std::vector<void*> blocks(500);
  for (int i = 0; i < rounds; i++) {
    seed = seed * 1664525 + 1013904223;
    void*& block = blocks[seed >> 8 & 255];
    hak_free(block);
    block = hak_malloc(1 + (seed >> 16) % (i % 64 == 0 ? 100000 : 3000));
  }
  for (void* block : blocks) hak_free(block);
}

// ---- actions ----

// Holds blocks of all kinds and says how many bytes they are.
int Live(const Arguments&) {
  uint64_t bytes = 0, small = 0;
  for (int i = 0; i < 5000; i++) {
    size_t size = static_cast<size_t>(1 + i * 37 % 30000);
    bytes += hak_usable_size(hak_malloc(size));
    small++;
  }
  for (size_t size : {40000u, 300000u, 1500000u, 9000000u}) {
    bytes += hak_usable_size(hak_malloc(size));
  }
  printf("%llu %llu\n", static_cast<unsigned long long>(bytes),
         static_cast<unsigned long long>(small));
  return 0;
}

int Sleep(const Arguments& arguments) {
  usleep(static_cast<useconds_t>(Number(arguments, 1)) * 1000);
  return 0;
}

// Slow paths alone, for so many milliseconds.
int Busy(const Arguments& arguments) {
  auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(Number(arguments, 1));
  while (std::chrono::steady_clock::now() < end) Churn(1, 1000);
  return 0;
}

int Storm(const Arguments& arguments) {
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 8; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < Number(arguments, 1); i++) {
        Churn(t, 2000);
        std::string phase = "thread " + std::to_string(t);
        if (i % 4 == 0) hak_telemetry_write(t % 2 == 0 ? phase.c_str() : nullptr);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}

// Children beside threads that write: each ends by exit and leaves its line.
int Fork(const Arguments& arguments) {
  Churn(9, 10);  // the first events are the parent's
  hak_telemetry_write("parent");
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 2; t++) {
    threads.emplace_back([&stop, t] {
      while (!stop) {
        Churn(t, 500);
        hak_telemetry_write(nullptr);
      }
    });
  }
  int failures = 0;
  for (int i = 0; i < Number(arguments, 1); i++) {
    pid_t pid = fork();
    if (pid == 0) {
      Churn(3, 5000);
      hak_telemetry_write("child");
      exit(0);
    }
    int status = 0;
    failures += waitpid(pid, &status, 0) != pid || status != 0;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  return failures == 0 ? 0 : 1;
}

// What daemons do; and the numbers go to files of the program's own.
int CloseAll(const Arguments& arguments) {
  hak_telemetry_write("before");
  for (int fd = 3; fd < 2000; fd++) close(fd);
  int decoy = open(arguments[1].c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  for (int fd = decoy + 1; fd < 1010; fd++) dup2(decoy, fd);
  hak_telemetry_write("after");
  struct stat status;
  if (fstat(decoy, &status) != 0 || status.st_size != 0) return 1;
  for (int fd = decoy; fd < 1010; fd++) {
    if (fcntl(fd, F_GETFD) < 0) return 2;
  }
  return 0;
}

size_t FileSize(const std::string& path) {
  struct stat status;
  return stat(path.c_str(), &status) == 0 ? static_cast<size_t>(status.st_size) : 0;
}

// Sends itself the signal, idle otherwise, and waits for the line.
int Signal(const Arguments& arguments) {
  raise(Number(arguments, 2));
  for (int i = 0; i < 2000 && FileSize(arguments[1]) == 0; i++) usleep(10000);
  return FileSize(arguments[1]) > 0 ? 0 : 1;
}

// A handler of the program's own, set later.
int OwnHandler(const Arguments& arguments) {
  static volatile sig_atomic_t seen = 0;
  signal(Number(arguments, 1), [](int) { seen = 1; });
  raise(Number(arguments, 1));
  return seen == 1 ? 0 : 1;
}

int Misuse(const Arguments&) {
  std::vector<void*> blocks;
  for (int i = 0; i < 1000; i++) blocks.push_back(hak_malloc(5000));
  hak_free(reinterpret_cast<void*>(16));
  return 0;
}

// Of a slab that no thread owns, so that it is noticed with the lock of its class held: when the
// third thread has freed so much more that the block goes back. (A second block keeps the slab in
// use; and what the threads free is another's, so that none of them makes the slab its own.)
int DoubleFree(const Arguments&) {
  void *block = nullptr, *other = nullptr;
  std::vector<void*> blocks[2];
  for (int k = 0; k < 6000; k++) blocks[k % 2].push_back(hak_malloc(100));
  std::thread([&] { block = hak_malloc(100), other = hak_malloc(100); }).join();
  for (const std::vector<void*>& each : blocks) {
    std::thread([&] {
      hak_free(block);
      for (void* mine : each) hak_free(mine);
    }).join();
  }
  return other == nullptr ? 1 : 0;
}

bool Collect(const char* text, size_t length, void* context) {
  void* block = hak_malloc(100000);  // a slow path, from within
  hak_free(block);
  static_cast<std::string*>(context)->append(text, length);
  return true;
}

int Print(const Arguments& arguments) {
  std::string text;
  bool is_json = arguments[1] == "json";
  if (!(is_json ? hak_stats_json : hak_stats_openmetrics)(Collect, &text)) return 1;
  fwrite(text.data(), 1, text.size(), stdout);
  int pieces = 0;
  auto stop = [](const char*, size_t, void* context) { return ++*static_cast<int*>(context) < 2; };
  return (is_json ? hak_stats_json : hak_stats_openmetrics)(stop, &pieces) || pieces != 2;
}

int Phases(const Arguments& arguments) {
  int written = 0;
  for (size_t i = 1; i < arguments.size(); i++)
    written += hak_telemetry_write(arguments[i].c_str());
  printf("%d\n", written);
  return 0;
}

// Writes more than fits, then says how often that failed.
int WriteTooMuch() {
  int failed = 0;
  for (int i = 0; i < 20; i++) failed += !hak_telemetry_write("limited");
  hak_stats stats;
  if (!hak_stats_get(&stats, sizeof stats)) return 1;
  printf("%d %d\n", failed, static_cast<int>(stats.telemetry_failures));
  return 0;
}

int Limited(const Arguments& arguments) {
  rlimit limit = {static_cast<rlim_t>(Number(arguments, 1)), RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &limit);
  return WriteTooMuch();
}

// On a disk that fills up; then a file of it goes, and there is room again.
int FillDisk(const Arguments& arguments) {
  int code = WriteTooMuch();
  unlink(arguments[1].c_str());
  return code != 0 || !hak_telemetry_write("room again") ? 1 : 0;
}

int Exec(const Arguments& arguments) {
  hak_telemetry_write("before exec");
  execl("/proc/self/exe", "telemetry_program", "phases", arguments[1].c_str(), nullptr);
  return 1;
}

int Remove(const Arguments& arguments) {
  hak_telemetry_write("lost");
  unlink(arguments[1].c_str());
  hak_telemetry_write("kept");
  return 0;
}

// Elsewhere than where it was started.
int ChangeDirectory(const Arguments&) {
  return chdir("/proc") == 0 && hak_telemetry_write("x") ? 0 : 1;
}

// Everything from a thread with the smallest stack there is.
int SmallStack(const Arguments&) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 16384);
  pthread_t thread;
  auto body = [](void*) -> void* {
    auto ignore = [](const char*, size_t, void*) { return true; };
    bool good = hak_telemetry_write("small") && hak_stats_json(ignore, nullptr) &&
                hak_stats_openmetrics(ignore, nullptr);
    for (size_t i = 0; i < 2000; i++) hak_free(hak_malloc(40000 + i * 100));
    return good ? nullptr : reinterpret_cast<void*>(1);
  };
  if (pthread_create(&thread, &attributes, body, nullptr) != 0) return 2;
  void* result = nullptr;
  pthread_join(thread, &result);
  return result == nullptr ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  static const std::map<std::string, std::function<int(const Arguments&)>> kActions = {
      {"live", Live},        {"sleep", Sleep},        {"busy", Busy},
      {"storm", Storm},      {"fork", Fork},          {"close", CloseAll},
      {"signal", Signal},    {"handler", OwnHandler}, {"misuse", Misuse},
      {"print", Print},      {"phases", Phases},      {"limited", Limited},
      {"exec", Exec},        {"remove", Remove},      {"cd", ChangeDirectory},
      {"small", SmallStack}, {"fill", FillDisk},      {"double free", DoubleFree},
  };
  auto action = argc > 1 ? kActions.find(argv[1]) : kActions.end();
  if (action == kActions.end()) return 2;
  return action->second(Arguments(argv + 1, argv + argc));
}
