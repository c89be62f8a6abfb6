// What is written of stacks, a line each.

extern "C" {
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/profile/stacks.h"
}

#include <gtest/gtest.h>
#include <jansson.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/profile/test_dump.h"
#include "hakmem/testing/support.h"

namespace {

using hak::Dump;
using hak::Site;

using Json = std::unique_ptr<json_t, decltype(&json_decref)>;

TEST_IN_CHILD(Lines, CollapsedStacksEndInTheirBytes) {
  ASSERT_TRUE(hak_profile_start(1));
  void* live = Site(1000);
  hak_free(Site(5000));
  hak_profile_stop();
  for (hak_profile_kind kind : {HAK_PROFILE_LIVE_STACKS, HAK_PROFILE_ALL_STACKS}) {
    std::istringstream lines(Dump(kind));
    uint64_t bytes = 0;
    for (std::string line; std::getline(lines, line);) {
      size_t space = line.rfind(' ');
      ASSERT_NE(space, std::string::npos) << line;
      EXPECT_NE(line.find("+0x"), std::string::npos) << line;
      bytes += std::stoull(line.substr(space + 1));
    }
    bool is_live = kind == HAK_PROFILE_LIVE_STACKS;
    EXPECT_EQ(bytes, hak_good_size(1000) + (is_live ? 0 : hak_good_size(5000)));
  }
  hak_free(live);
}

uint64_t Number(const Json& line, const char* key) {
  const json_t* value = json_object_get(line.get(), key);
  EXPECT_TRUE(json_is_integer(value)) << key;
  return static_cast<uint64_t>(json_integer_value(value));
}

std::string Text(const json_t* object, const char* key) {
  const char* text = json_string_value(json_object_get(object, key));
  return text != nullptr ? text : "";
}

std::vector<uint64_t> Numbers(const Json& line, const char* key) {
  const json_t* array = json_object_get(line.get(), key);
  EXPECT_TRUE(json_is_array(array)) << key;
  std::vector<uint64_t> numbers;
  for (size_t i = 0; i < json_array_size(array); ++i) {
    numbers.push_back(static_cast<uint64_t>(json_integer_value(json_array_get(array, i))));
  }
  return numbers;
}

std::vector<Json> Lines(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    json_error_t error;
    lines.emplace_back(json_loads(line.c_str(), JSON_REJECT_DUPLICATES, &error), json_decref);
    EXPECT_NE(lines.back(), nullptr) << error.text << ": " << line;
  }
  return lines;
}

TEST_IN_CHILD(Lines, JsonHasAllThatIsKnown) {
  ASSERT_TRUE(hak_profile_start(1));
  void* live = Site(1000);
  hak_free(Site(5000));
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  void* young = Site(100000);
  hak_profile_stop();
  std::vector<Json> lines = Lines(Dump(HAK_PROFILE_JSON));
  ASSERT_GE(lines.size(), 4u);
  const Json& head = lines[0];
  EXPECT_EQ(Text(head.get(), "schema"), "hakmem.profile.1");
  EXPECT_EQ(Number(head, "interval"), 1u);
  EXPECT_EQ(Number(head, "lost_samples"), 0u);
  EXPECT_EQ(Number(head, "pid"), static_cast<uint64_t>(getpid()));
  EXPECT_EQ(Numbers(head, "age_bounds_ms"),
            (std::vector<uint64_t>{1, 10, 100, 1000, 10000, 100000, 1000000}));
  const json_t* modules = json_object_get(head.get(), "modules");
  EXPECT_GT(json_array_size(modules), 1u);
  bool has_own_file = false;
  std::string own_file = std::filesystem::canonical("/proc/self/exe");
  for (size_t i = 0; i < json_array_size(modules); ++i) {
    has_own_file |= Text(json_array_get(modules, i), "file") == own_file;
  }
  EXPECT_TRUE(has_own_file) << own_file;

  uint64_t inuse = 0, alloc = 0, freed = 0, peak = 0, at_least_1ms = 0, of_ages = 0, samples = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    const Json& line = lines[i];
    EXPECT_EQ(Text(line.get(), "schema"), "hakmem.profile.stack.1");
    alloc += Number(line, "alloc_space");
    inuse += Number(line, "inuse_space");
    peak += Number(line, "peak_space");
    samples += Number(line, "alloc_samples");
    for (const char* key :
         {"freed_1ms_space", "freed_1s_space", "freed_1min_space", "freed_later_space"}) {
      freed += Number(line, key);
    }
    std::vector<uint64_t> ages = Numbers(line, "inuse_space_by_age");
    ASSERT_EQ(ages.size(), 8u);
    for (size_t k = 0; k < ages.size(); ++k) {
      of_ages += ages[k];
      at_least_1ms += k != 0 ? ages[k] : 0;
    }
    const json_t* frames = json_object_get(line.get(), "frames");
    ASSERT_GT(json_array_size(frames), 0u);
    EXPECT_EQ(std::string(json_string_value(json_array_get(frames, 0))).find(own_file + "+0x"), 0u);
  }
  uint64_t sizes[] = {hak_good_size(1000), hak_good_size(5000), hak_good_size(100000)};
  EXPECT_EQ(samples, 3u);
  EXPECT_EQ(inuse, sizes[0] + sizes[2]);
  EXPECT_EQ(of_ages, inuse);
  EXPECT_GE(at_least_1ms, sizes[0]);
  EXPECT_EQ(freed, sizes[1]);
  EXPECT_EQ(alloc, sizes[0] + sizes[1] + sizes[2]);
  EXPECT_EQ(peak, inuse);
  hak_free(live);
  hak_free(young);
}

}  // namespace
