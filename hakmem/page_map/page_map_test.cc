// The page map: what was set is found, from each page of a run, while others write.

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <thread>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/base/config.h"
#include "hakmem/page_map/page_map.h"
}

namespace {

// Nothing is mapped at these addresses: the page map never looks there.
constexpr uintptr_t kLeaf = uintptr_t{1} << HAK_LEAF_SHIFT;
constexpr uintptr_t kBase = 0x123400000000;
static_assert(kBase % kLeaf == 0, "the tests cross from one leaf into the next");

const void* At(uintptr_t address) { return reinterpret_cast<const void*>(address); }
hak_superslab* Super(uintptr_t i) { return reinterpret_cast<hak_superslab*>(i * 64); }

TEST_IN_CHILD(PageMapTest, ForeignAddressesHaveNothing) {
  int on_stack = 0;
  const void* foreign[] = {nullptr,
                           At(1),
                           &on_stack,
                           At(kBase),
                           At((uintptr_t{1} << HAK_ADDRESS_BITS) - 1),
                           At(uintptr_t{1} << HAK_ADDRESS_BITS),  // beyond the root
                           At(uintptr_t{1} << 63),
                           At(UINTPTR_MAX)};
  for (const void* address : foreign) {
    EXPECT_EQ(hak_page_map_class(address), 0u) << address;
    EXPECT_EQ(hak_page_map_run(address), 0u) << address;
    EXPECT_EQ(hak_page_map_super(address), nullptr) << address;
  }
}

// Random writes over three leaves against a shadow, looked up at first, last and inner bytes.
TEST_IN_CHILD(PageMapTest, EntriesAreWhatWasSet) {
  ASSERT_TRUE(hak_page_map_add_range(kBase + kLeaf / 2, 2 * kLeaf));
  std::map<uintptr_t, unsigned> shadow;
  hak::Random random(3);
  for (int i = 0; i < 20000; ++i) {
    uintptr_t page = random.Below(2 * kLeaf >> HAK_PAGE_SHIFT);
    uintptr_t address = kBase + kLeaf / 2 + (page << HAK_PAGE_SHIFT);
    unsigned n = static_cast<unsigned>(1 + random.Below(5));
    if (address + n * HAK_PAGE_BYTES > kBase + kLeaf / 2 + 2 * kLeaf) continue;
    unsigned entry = static_cast<unsigned>(random.Below(HAK_N_STACKS));
    hak_page_map_set_class(address, n, entry);
    for (unsigned k = 0; k < n; ++k) shadow[address + k * HAK_PAGE_BYTES] = entry;
  }
  for (auto [address, entry] : shadow) {
    ASSERT_EQ(hak_page_map_class(At(address)), entry);
    ASSERT_EQ(hak_page_map_class(At(address + random.Below(HAK_PAGE_BYTES))), entry);
    ASSERT_EQ(hak_page_map_class(At(address + HAK_PAGE_BYTES - 1)), entry);
  }
}

// Over the border of two leaves: each page of a run leads to its base, and the first one also has
// the span's bytes, for as long as there is a span.
TEST_IN_CHILD(PageMapTest, RunsAreFoundFromEachOfTheirPages) {
  constexpr unsigned kPages = 40;
  uintptr_t base = kBase + kLeaf - 3 * HAK_PAGE_BYTES;
  ASSERT_TRUE(hak_page_map_add_range(kBase, 2 * kLeaf));
  hak_page_map_set_run(base, 0, 8);
  hak_page_map_set_span_bytes(base, 8 * HAK_PAGE_BYTES - 4096);
  hak_page_map_set_run(base, 8, kPages);  // it grows
  for (uintptr_t a = base; a < base + kPages * HAK_PAGE_BYTES; a += HAK_PAGE_BYTES / 2) {
    ASSERT_EQ(hak_page_map_run_base(At(a)), base);
    ASSERT_EQ(hak_run_bytes_before(hak_page_map_run(At(a))),
              hak_round_down(a - base, HAK_PAGE_BYTES));
    size_t bytes = a < base + HAK_PAGE_BYTES ? 8 * HAK_PAGE_BYTES - 4096 : 0;
    ASSERT_EQ(hak_run_span_bytes(hak_page_map_run(At(a))), bytes);
  }
  EXPECT_EQ(hak_page_map_run(At(base - 1)), 0u);
  EXPECT_EQ(hak_page_map_run(At(base + kPages * HAK_PAGE_BYTES)), 0u);
  hak_page_map_set_span_bytes(base, 0);
  EXPECT_EQ(hak_page_map_run(At(base)), 0u);
  hak_page_map_set_run(base + HAK_PAGE_BYTES, 0, 2);  // other runs lie there later
  EXPECT_EQ(hak_page_map_run_base(At(base + 2 * HAK_PAGE_BYTES + 1)), base + HAK_PAGE_BYTES);
}

TEST_IN_CHILD(PageMapTest, SupersCoverTheirRangeAndNoMore) {
  constexpr uintptr_t kUnit = uintptr_t{1} << HAK_SUPER_MIN_SHIFT;
  uintptr_t base = kBase + kLeaf - 2 * kUnit;  // into the next leaf
  ASSERT_TRUE(hak_page_map_add_range(base - kUnit, 8 * kUnit));
  hak_page_map_set_super(base, 4 * kUnit, Super(1));
  hak_page_map_set_super(base + 4 * kUnit, kUnit, Super(2));
  EXPECT_EQ(hak_page_map_super(At(base - 1)), nullptr);
  EXPECT_EQ(hak_page_map_super(At(base)), Super(1));
  EXPECT_EQ(hak_page_map_super(At(base + 4 * kUnit - 1)), Super(1));
  EXPECT_EQ(hak_page_map_super(At(base + 4 * kUnit)), Super(2));
  EXPECT_EQ(hak_page_map_super(At(base + 5 * kUnit)), nullptr);
}

TEST_IN_CHILD(PageMapTest, RangesThatCannotBeAreRefused) {
  EXPECT_FALSE(hak_page_map_add_range((uintptr_t{1} << HAK_ADDRESS_BITS) - kLeaf, 2 * kLeaf));
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
    // A leaf is some 300 KiB: what is left of no chunk holds a hundred.
    EXPECT_FALSE(hak_page_map_add_range(kBase, 100 * kLeaf));
  }
  ASSERT_TRUE(hak_page_map_add_range(kBase, 100 * kLeaf));
  hak_page_map_set_class(kBase + 99 * kLeaf, 1, 5);
  EXPECT_EQ(hak_page_map_class(At(kBase + 99 * kLeaf)), 5u);
}

TEST_IN_CHILD(PageMapTest, AddingARangeAgainKeepsWhatIsThere) {
  ASSERT_TRUE(hak_page_map_add_range(kBase, kLeaf));
  hak_page_map_set_class(kBase, 1, 9);
  ASSERT_TRUE(hak_page_map_add_range(kBase, 2 * kLeaf));
  EXPECT_EQ(hak_page_map_class(At(kBase)), 9u);
}

// Readers look while leaves appear and entries change: they see old or new, never anything else.
TEST_IN_CHILD(PageMapTest, ReadersSeeOldOrNew) {
  std::atomic<bool> is_done{false};
  std::thread reader([&] {
    while (!is_done) {
      for (uintptr_t i = 0; i < 16; ++i) {
        unsigned entry = hak_page_map_class(At(kBase + i * kLeaf));
        EXPECT_TRUE(entry == 0 || entry == 7 || entry == 8) << entry;
        hak_superslab* super = hak_page_map_super(At(kBase + i * kLeaf));
        EXPECT_TRUE(super == nullptr || super == Super(i + 1));
      }
    }
  });
  for (uintptr_t i = 0; i < 16; ++i) {
    ASSERT_TRUE(hak_page_map_add_range(kBase + i * kLeaf, kLeaf));
    hak_page_map_set_super(kBase + i * kLeaf, 2 * HAK_MIB, Super(i + 1));
    for (unsigned k = 0; k < 1000; ++k) hak_page_map_set_class(kBase + i * kLeaf, 1, 7 + k % 2);
  }
  is_done = true;
  reader.join();
}

}  // namespace
