// A C++ program of the kind that finds allocators out: threads, exceptions across them, containers,
// over-aligned types, sized and nothrow operators. Prints a checksum that does not depend on
// timing.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <future>
#include <list>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

struct alignas(256) Wide {
  uint64_t words[40];
};

uint64_t Churn(uint64_t seed) {
  std::map<uint64_t, std::string> strings;
  std::list<std::unique_ptr<Wide>> wides;
  uint64_t sum = 0;
  for (int i = 0; i < 40000; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    strings[seed >> 52] = std::string(seed >> 53 & 511, static_cast<char>('a' + i % 26));
    if (i % 64 == 0) {
      wides.push_back(std::make_unique<Wide>());
      if (reinterpret_cast<uintptr_t>(wides.back().get()) % alignof(Wide) != 0) sum += 1u << 31;
      wides.back()->words[39] = seed;
    }
    try {
      if (i % 16 == 0) throw std::runtime_error("number " + std::to_string(i));
    } catch (const std::exception& e) {
      sum += std::string(e.what()).size();
    }
  }
  for (const auto& [key, text] : strings) sum += key * text.size();
  for (const auto& wide : wides) sum ^= wide->words[39];
  return sum;
}

}  // namespace

int main() {
  std::vector<std::future<uint64_t>> futures;
  for (uint64_t seed = 1; seed <= 8; seed++) {
    futures.push_back(std::async(std::launch::async, Churn, seed));
  }
  uint64_t sum = 0;
  for (auto& future : futures) sum += future.get();

  auto thrown_elsewhere = std::async(
      std::launch::async, []() -> int { throw std::length_error(std::string(1000, 'x')); });
  try {
    thrown_elsewhere.get();
  } catch (const std::length_error& e) {
    sum += std::string(e.what()).size();
  }

  size_t enormous = SIZE_MAX / 4;
  try {
    ::operator delete(::operator new(enormous));
    puts("an enormous block was had");
  } catch (const std::bad_alloc&) {
    puts("bad_alloc");
  }
  if (::operator new(enormous, std::nothrow) != nullptr) puts("an enormous block was had");
  printf("%llu\n", static_cast<unsigned long long>(sum));
}
