// Text: numbers as printf writes them, JSON strings that a parser takes, and every piece in its
// place however small the buffer is.

extern "C" {
#include "hakmem/platform/text.h"
}

#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdio>
#include <string>

#include "hakmem/testing/support.h"

namespace {

bool Collect(const char* bytes, size_t length, void* context) {
  static_cast<std::string*>(context)->append(bytes, length);
  return true;
}

template <typename Body>
std::string Written(size_t capacity, Body body) {
  std::string all, buffer(capacity, '#');
  hak_text_t text = {};
  text.buffer = buffer.data();
  text.capacity = capacity;
  text.sink = Collect;
  text.context = &all;
  body(&text);
  EXPECT_TRUE(hak_text_end(&text));
  return all;
}

std::string Json(const std::string& string) {
  return Written(7, [&](hak_text_t* text) { hak_text_json(text, string.c_str()); });
}

TEST(TextTest, NumbersAreAsPrintfWritesThem) {
  hak::Random random(1);
  for (int i = 0; i < 2000; i++) {
    uint64_t value = i < 2 ? static_cast<uint64_t>(-i) : random.Next() >> random.Below(64);
    char expected[100];
    snprintf(expected, sizeof expected, "%" PRIu64 " %" PRIu64 ".%09" PRIu64, value,
             value / 1000000000, value % 1000000000);
    EXPECT_EQ(Written(static_cast<size_t>(1 + i % 40),
                      [&](hak_text_t* text) {
                        hak_text_number(text, value);
                        hak_text_string(text, " ");
                        hak_text_decimal(text, value, 9);
                      }),
              expected);
  }
  EXPECT_EQ(Written(10, [](hak_text_t* text) { hak_text_decimal(text, 5, 1); }), "0.5");
}

TEST(TextTest, JsonStringsAreEscaped) {
  EXPECT_EQ(Json("plain"), "plain");
  EXPECT_EQ(Json("a\"b\\c\n\x01\x7f"), "a\\\"b\\\\c\\u000a\\u0001\\u007f");
  EXPECT_EQ(Json("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

TEST(TextTest, WhatIsNotUtf8IsReplaced) {
  EXPECT_EQ(Json("\xff"), "\\ufffd");
  EXPECT_EQ(Json("a\xc3"), "a\\ufffd") << "cut off";
  EXPECT_EQ(Json("\xc0\xaf"), "\\ufffd\\ufffd") << "overlong";
  EXPECT_EQ(Json("\xed\xa0\x80"), "\\ufffd\\ufffd\\ufffd") << "a surrogate";
  EXPECT_EQ(Json("\xf4\x90\x80\x80"), "\\ufffd\\ufffd\\ufffd\\ufffd") << "above U+10FFFF";
  EXPECT_EQ(Json("\xe2\x82z"), "\\ufffd\\ufffdz");
}

TEST(TextTest, WithoutASinkWhatDoesNotFitHasFailed) {
  char buffer[4];
  hak_text_t text = {};
  text.buffer = buffer;
  text.capacity = sizeof buffer;
  hak_text_string(&text, "1234");
  EXPECT_TRUE(hak_text_end(&text));
  hak_text_string(&text, "5");
  EXPECT_FALSE(hak_text_end(&text));
}

TEST(TextTest, ASinkThatStopsIsNotCalledAgain) {
  int calls = 0;
  char buffer[4];
  hak_text_t text = {};
  text.buffer = buffer;
  text.capacity = sizeof buffer;
  text.sink = [](const char*, size_t, void* context) {
    ++*static_cast<int*>(context);
    return false;
  };
  text.context = &calls;
  for (int i = 0; i < 100; i++) hak_text_string(&text, "12345");
  EXPECT_FALSE(hak_text_end(&text));
  EXPECT_EQ(calls, 1);
}

}  // namespace
