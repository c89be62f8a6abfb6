// Events: the ring keeps the last ones, whole, whoever writes; exhaustions are counted by class.

extern "C" {
#include "hakmem/options/events.h"

#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
}

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "hakmem/testing/support.h"

namespace {

std::vector<hak_event_t> Read() {
  std::vector<hak_event_t> events(HAK_EVENT_RING);
  events.resize(hak_events_read(events.data(), events.size()));
  return events;
}

TEST_IN_CHILD(EventsTest, KeepsWhatHappened) {
  EXPECT_TRUE(Read().empty());
  hak_event_record(HAK_EVENT_PURGED, 0, 0, 4096, 0);
  hak_event_record(HAK_EVENT_EXHAUSTED, 7, 0x1000, 0, 0);
  std::vector<hak_event_t> events = Read();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, HAK_EVENT_PURGED);
  EXPECT_EQ(events[0].bytes, 4096u);
  EXPECT_EQ(events[1].kind, HAK_EVENT_EXHAUSTED);
  EXPECT_EQ(events[1].size_class, 7);
  EXPECT_EQ(events[1].address, 0x1000u);
  EXPECT_EQ(events[1].sequence, 2u);
  EXPECT_LE(events[0].time_ns, events[1].time_ns);
  EXPECT_EQ(hak_events_exhausted(7), 1u);
  EXPECT_EQ(hak_events_exhausted(8), 0u);
}

TEST_IN_CHILD(EventsTest, TheRingHoldsTheLastOnes) {
  for (unsigned i = 1; i <= 3 * HAK_EVENT_RING; i++) hak_event_record(HAK_EVENT_PURGED, 0, 0, i, 0);
  std::vector<hak_event_t> events = Read();
  ASSERT_EQ(events.size(), static_cast<size_t>(HAK_EVENT_RING));
  EXPECT_EQ(events.front().bytes, 2u * HAK_EVENT_RING + 1);
  EXPECT_EQ(events.back().bytes, 3u * HAK_EVENT_RING);
  hak_event_t last[2];
  ASSERT_EQ(hak_events_read(last, 2), 2u);
  EXPECT_EQ(last[1].bytes, 3u * HAK_EVENT_RING);
}

TEST_IN_CHILD(EventsTest, WhatAReaderGetsIsWhole) {
  std::vector<std::thread> writers;
  for (int t = 0; t < 4; t++) {
    writers.emplace_back([] {
      for (uintptr_t i = 1; i <= 20000; i++) {
        hak_event_record(HAK_EVENT_ADOPTED, static_cast<unsigned>(i % 60), i, i * 3, 0);
      }
    });
  }
  for (int round = 0; round < 200; round++) {
    for (const hak_event_t& event : Read()) {
      ASSERT_EQ(event.bytes, event.address * 3);
      ASSERT_EQ(event.size_class, event.address % 60);
    }
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(hak_events_count(), 80000u);
}

TEST_IN_CHILD(EventsTest, AreLinesOnStderrWhenAskedFor) {
  EXPECT_EQ(hak::StderrOf([] {
              hak_event_record(HAK_EVENT_EXHAUSTED, 32, 0xabc000, 0, 0);
              hak_tick();
              hak_events_print();
            }),
            "");
  ASSERT_TRUE(hak_option_set(HAK_OPTION_ss_debug, "1"));
  EXPECT_EQ(hak::StderrOf([] {
              hak_event_record(HAK_EVENT_EXHAUSTED, 32, 0xabc000, 0, 0);
              hak_event_record(HAK_EVENT_KERNEL_FAILED, HAK_KERNEL_MMAP, 0, 4096, 12);
            }),
            "")
      << "locks may be held";
  EXPECT_EQ(hak::StderrOf([] { hak_tick(); }),
            "hakmem: exhausted class 32 (1024-byte blocks) at 0xabc000: no SuperSlab had room; "
            "took one more\n"
            "hakmem: kernel failed mmap errno 12 4096 bytes\n");
}

}  // namespace
