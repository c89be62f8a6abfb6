// After a program's peak, most of its blocks are freed at random. Slabs keep what lives; every page
// that holds no live block is found and goes back to the kernel, or to whoever asks next.

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <vector>

#include "hakmem/superslab/test_supers.h"
#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/include/hakmem/hakmem.h"
#include "hakmem/options/options.h"
#include "hakmem/options/tick.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/stats/introspect.h"
#include "hakmem/superslab/reserve.h"
}

namespace {

struct Peak {
  const char* name;
  size_t smallest, largest;
  size_t blocks;
};

// Blocks of random sizes, as many small ones as large ones in each order of magnitude, of which
// one in ten stays.
std::vector<void*> FreeMostOf(const Peak& peak) {
  hak::Random random(7);
  std::vector<void*> blocks;
  for (size_t i = 0; i < peak.blocks; ++i) {
    size_t size = std::min(peak.smallest + random.LogUniform(peak.largest), peak.largest);
    blocks.push_back(hak_malloc(size));
    memset(blocks.back(), 1, size);
  }
  for (size_t i = blocks.size(); i > 1; --i) std::swap(blocks[i - 1], blocks[random.Below(i)]);
  while (blocks.size() > peak.blocks / 10) {
    hak_free(blocks.back());
    blocks.pop_back();
  }
  return blocks;
}

// The pages of the slabs and spans that live blocks lie in: what cannot be given to anybody else.
std::set<uintptr_t> PagesOf(const std::vector<void*>& blocks) {
  std::set<uintptr_t> pages;
  for (void* block : blocks) {
    hak_run_t* run = hak_super_run_of(hak_page_map_super(block), block);
    for (unsigned i = 0; i < run->n_pages; ++i) pages.insert(run->base + i * HAK_PAGE_BYTES);
  }
  return pages;
}

size_t ResidentPages() {
  size_t n = 0;
  for (unsigned i = 0; i < hak_reserve_count(); ++i) {
    const hak_reservation_t* r = hak_reserve_get(i);
    for (size_t at = 0; at < r->n_supers * hak_super_bytes(); at += HAK_PAGE_BYTES) {
      n += hak::IsResident(reinterpret_cast<void*>(r->base + at));
    }
  }
  return n;
}

class FragmentationTest : public testing::TestWithParam<Peak> {
 protected:
  // The first block of a page is its slab's, so that a page in use is resident.
  static void ExpectHeldIsNeeded(const std::set<uintptr_t>& pages) {
    EXPECT_EQ(hak::CountHeld().dirty_bytes, pages.size() * HAK_PAGE_BYTES);
    EXPECT_EQ(hak::CountHeld().free_dirty_bytes, 0u);
    EXPECT_LE(ResidentPages(), pages.size());
  }
};

TEST_P(FragmentationTest, PagesWithoutALiveBlockGoBackToTheKernel) {
  EXPECT_TRUE(hak::PassesInChild([] {
    ASSERT_TRUE(hak_option_set(HAK_OPTION_thp, "never"));
    std::set<uintptr_t> pages = PagesOf(FreeMostOf(GetParam()));
    EXPECT_GT(hak::CountHeld().dirty_bytes, pages.size() * HAK_PAGE_BYTES) << "all are in use";
    EXPECT_TRUE(hak_introspect_trim());
    ExpectHeldIsNeeded(pages);
  }));
}

// Without being asked to, but for what the thread's cache holds.
TEST_P(FragmentationTest, TheyGoWhenThePurgeDelayIsOver) {
  EXPECT_TRUE(hak::PassesInChild([] {
    ASSERT_TRUE(hak_option_set(HAK_OPTION_thp, "never"));
    ASSERT_TRUE(hak_option_set(HAK_OPTION_purge_delay, "0"));
    (void)FreeMostOf(GetParam());
    for (int i = 0; i < 1000; ++i) hak_tick();  // a batch each
    EXPECT_EQ(hak::CountHeld().free_dirty_bytes, 0u);
  }));
}

TEST_P(FragmentationTest, TheyServeWhoeverAsksNext) {
  EXPECT_TRUE(hak::PassesInChild([] {
    std::set<uintptr_t> pages = PagesOf(FreeMostOf(GetParam()));
    size_t all = hak_reserve_bytes() / HAK_PAGE_BYTES;
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
    size_t n = 0;
    while (void* page = hak_malloc(HAK_PAGE_BYTES)) {
      ASSERT_EQ(pages.count(reinterpret_cast<uintptr_t>(page)), 0u);
      n++;
    }
    EXPECT_EQ(n, all - pages.size());
  }));
}

INSTANTIATE_TEST_SUITE_P(Peaks, FragmentationTest,
                         testing::Values(Peak{"Small", 16, 1024, 200000},
                                         Peak{"Medium", 1024, 32768, 8000},
                                         Peak{"Large", 32768, 1000000, 300},
                                         Peak{"Mixed", 16, 1000000, 4000}),
                         [](const testing::TestParamInfo<Peak>& peak) { return peak.param.name; });

}  // namespace
