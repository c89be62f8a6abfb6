// What is written: decoded here by the rules of protocol buffers alone.

extern "C" {
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/profile/stacks.h"
}

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "hakmem/profile/test_dump.h"
#include "hakmem/testing/support.h"

namespace {

using hak::Dump;
using hak::Site;

// A message: the values of each field, numbers or bytes, in their order.
struct Message {
  std::map<unsigned, std::vector<uint64_t>> numbers;
  std::map<unsigned, std::vector<std::string>> bytes;
};

bool TakeVarint(const std::string& text, size_t* at, uint64_t* value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64 && *at < text.size(); shift += 7) {
    uint64_t byte = static_cast<unsigned char>(text[(*at)++]);
    *value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool Parse(const std::string& text, Message* message) {
  for (size_t at = 0; at < text.size();) {
    uint64_t tag, value;
    if (!TakeVarint(text, &at, &tag) || !TakeVarint(text, &at, &value)) return false;
    unsigned field = static_cast<unsigned>(tag >> 3);
    if ((tag & 7) == 0) {
      message->numbers[field].push_back(value);
    } else if ((tag & 7) == 2 && value <= text.size() - at) {
      message->bytes[field].push_back(text.substr(at, value));
      at += value;
    } else {
      return false;
    }
  }
  return true;
}

std::vector<uint64_t> Packed(const std::string& text) {
  std::vector<uint64_t> values;
  uint64_t value;
  for (size_t at = 0; at < text.size() && TakeVarint(text, &at, &value);) values.push_back(value);
  return values;
}

uint64_t Number(const Message& message, unsigned field) {
  auto found = message.numbers.find(field);
  return found == message.numbers.end() ? 0 : found->second.at(0);
}

TEST_IN_CHILD(Pprof, EveryReferenceIsThere) {
  ASSERT_TRUE(hak_profile_start(1));
  void* live = Site(1000);
  hak_free(Site(5000));
  hak_profile_stop();
  Message profile;
  ASSERT_TRUE(Parse(Dump(HAK_PROFILE_PPROF), &profile));
  const std::vector<std::string>& strings = profile.bytes[6];
  ASSERT_FALSE(strings.empty());
  EXPECT_EQ(strings[0], "");
  std::vector<std::string> types;
  for (const std::string& text : profile.bytes[1]) {
    Message type;
    ASSERT_TRUE(Parse(text, &type));
    types.push_back(strings.at(Number(type, 1)) + "/" + strings.at(Number(type, 2)));
  }
  std::vector<std::string> expected;
  for (const char* name :
       {"alloc", "inuse", "peak", "freed_1ms", "freed_1s", "freed_1min", "freed_later"}) {
    expected.push_back(std::string(name) + "_objects/count");
    expected.push_back(std::string(name) + "_space/bytes");
  }
  EXPECT_EQ(types, expected);
  EXPECT_EQ(strings.at(Number(profile, 14)), "inuse_space");
  EXPECT_EQ(Number(profile, 12), 1u);

  std::map<uint64_t, Message> modules;
  for (const std::string& text : profile.bytes[3]) {
    Message module;
    ASSERT_TRUE(Parse(text, &module));
    EXPECT_LT(Number(module, 2), Number(module, 3));
    EXPECT_NE(strings.at(Number(module, 5)), "");
    EXPECT_LT(Number(module, 6), strings.size());
    modules[Number(module, 1)] = module;
  }
  std::map<uint64_t, uint64_t> addresses;
  for (const std::string& text : profile.bytes[4]) {
    Message location;
    ASSERT_TRUE(Parse(text, &location));
    uint64_t address = Number(location, 3);
    EXPECT_TRUE(addresses.emplace(Number(location, 1), address).second) << "twice";
    const Message& module = modules.at(Number(location, 2));
    EXPECT_GE(address, Number(module, 2));
    EXPECT_LT(address, Number(module, 3));
  }
  std::vector<uint64_t> sums(types.size());
  for (const std::string& text : profile.bytes[2]) {
    Message sample;
    ASSERT_TRUE(Parse(text, &sample));
    for (uint64_t number : Packed(sample.bytes.at(1).at(0))) {
      EXPECT_EQ(addresses.count(number), 1u);
    }
    std::vector<uint64_t> values = Packed(sample.bytes.at(2).at(0));
    ASSERT_EQ(values.size(), types.size());
    for (size_t i = 0; i < values.size(); ++i) sums[i] += values[i];
  }
  uint64_t kept = hak_good_size(1000), freed = hak_good_size(5000);
  EXPECT_EQ(std::vector<uint64_t>(sums.begin(), sums.begin() + 6),
            (std::vector<uint64_t>{2, kept + freed, 1, kept, 2, kept + freed}));
  EXPECT_EQ(sums[6] + sums[8] + sums[10] + sums[12], 1u);
  EXPECT_EQ(sums[7] + sums[9] + sums[11] + sums[13], freed);
  hak_free(live);
}

}  // namespace
