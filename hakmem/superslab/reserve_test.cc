// Reservations: how large and how many, which SuperSlab is taken, what refusals cost.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "hakmem/testing/support.h"

extern "C" {
#include "hakmem/options/options.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/page_map/page_map.h"
#include "hakmem/superslab/reserve.h"
#include "hakmem/superslab/room.h"
}

namespace {

hak_superslab_t* Take(uint32_t n, uint32_t align_supers) {
  hak_reserve_ready();
  hak_lock_acquire(&hak_backend_lock);
  hak_superslab_t* super = hak_room_take(n, align_supers, true);
  hak_lock_release(&hak_backend_lock);
  return super;
}

bool TakeAfter(const hak_superslab_t* last, uint32_t n) {
  hak_lock_acquire(&hak_backend_lock);
  bool taken = hak_reserve_take_after(last, n);
  hak_lock_release(&hak_backend_lock);
  return taken;
}

void Give(hak_superslab_t* first, uint32_t n) {
  hak_lock_acquire(&hak_backend_lock);
  hak_reserve_give(first, n);
  hak_lock_release(&hak_backend_lock);
}

hak_superslab_t* At(const hak_superslab_t* first, uint32_t i) {
  return hak_reserve_super(first->reservation, hak_reserve_index(first) + i);
}

uint64_t FreeSupers() {
  uint64_t n = 0;
  for (unsigned i = 0; i < hak_reserve_count(); ++i) n += hak_reserve_get(i)->n_free;
  return n;
}

TEST_IN_CHILD(ReserveTest, TheFirstReservationIsModest) {
  hak_superslab_t* super = Take(1, 1);
  ASSERT_NE(super, nullptr);
  EXPECT_EQ(hak_reserve_count(), 1u);
  EXPECT_EQ(hak_reserve_bytes(), HAK_RESERVE_FIRST);
  EXPECT_EQ(super->base % hak_super_bytes(), 0u);
  EXPECT_EQ(FreeSupers(), HAK_RESERVE_FIRST / hak_super_bytes() - 1);
}

// Every size that can be chosen: aligned to itself, and known to the page map to its last byte.
TEST(ReserveTest, SuperSlabsAreOfTheChosenSize) {
  for (unsigned shift = HAK_SUPER_MIN_SHIFT; shift <= HAK_SUPER_MAX_SHIFT; ++shift) {
    SCOPED_TRACE(shift);
    EXPECT_TRUE(hak::PassesInChild([shift] {
      size_t bytes = size_t{1} << shift;
      ASSERT_TRUE(hak_option_set(HAK_OPTION_superslab_size, std::to_string(bytes).c_str()));
      hak_superslab_t* a = Take(1, 1);
      hak_superslab_t* b = Take(1, 1);
      ASSERT_TRUE(a != nullptr && b != nullptr);
      EXPECT_EQ(hak_super_bytes(), bytes);
      EXPECT_EQ(hak_super_pages() * HAK_PAGE_BYTES, bytes);
      EXPECT_EQ(a->base % bytes, 0u);
      EXPECT_EQ(b->base, a->base + bytes);
      EXPECT_EQ(hak_page_map_super(reinterpret_cast<void*>(a->base + bytes - 1)), a);
      EXPECT_EQ(hak_page_map_super(reinterpret_cast<void*>(b->base)), b);
      EXPECT_GE(reinterpret_cast<char*>(b) - reinterpret_cast<char*>(a),
                static_cast<ptrdiff_t>(sizeof *a +
                                       hak_super_pages() * (HAK_RUN_BYTES + HAK_BITMAP_BYTES)));
    }));
  }
}

// Random takes and gives against a shadow: aligned, apart from each other, all there in the end.
TEST_IN_CHILD(ReserveTest, TakesNeverOverlap) {
  hak::Random random(4);
  std::map<uintptr_t, uint32_t> taken;  // base to number of SuperSlabs
  for (int i = 0; i < 20000; ++i) {
    if (random.Below(5) < 2 && !taken.empty()) {
      auto it = taken.lower_bound(random.Below(2) == 0 ? 0 : taken.rbegin()->first / 2);
      std::advance(it, random.Below(static_cast<uint64_t>(std::distance(it, taken.end()))));
      auto* first = hak_page_map_super(reinterpret_cast<void*>(it->first));
      ASSERT_NE(first, nullptr);
      if (random.Below(3) == 0) {  // a larger block, if it can be
        uint32_t more = static_cast<uint32_t>(1 + random.Below(3));
        if (TakeAfter(At(first, it->second - 1), more)) it->second += more;
        auto next = std::next(it);
        ASSERT_TRUE(next == taken.end() ||
                    it->first + it->second * hak_super_bytes() <= next->first);
      } else {
        Give(first, it->second);
        taken.erase(it);
      }
    } else if (taken.size() < 60) {
      uint32_t n = static_cast<uint32_t>(1 + random.Below(8));
      uint32_t align = 1u << random.Below(4);
      hak_superslab_t* super = Take(n, align);
      ASSERT_NE(super, nullptr);
      ASSERT_EQ(super->base % (align * hak_super_bytes()), 0u);
      auto [it, is_new] = taken.emplace(super->base, n);
      ASSERT_TRUE(is_new);
      auto next = std::next(it);
      ASSERT_TRUE(next == taken.end() || super->base + n * hak_super_bytes() <= next->first);
      ASSERT_TRUE(it == taken.begin() ||
                  std::prev(it)->first + std::prev(it)->second * hak_super_bytes() <= it->first);
    }
  }
  for (auto [base, n] : taken) Give(hak_page_map_super(reinterpret_cast<void*>(base)), n);
  EXPECT_EQ(FreeSupers() * hak_super_bytes(), hak_reserve_bytes());
}

TEST_IN_CHILD(ReserveTest, TheLowestComesFirst) {
  hak_superslab_t* first = Take(3, 1);
  Take(1, 1);
  Give(At(first, 2), 1);
  Give(At(first, 0), 1);
  EXPECT_EQ(Take(1, 1), At(first, 0));
  EXPECT_EQ(Take(1, 1), At(first, 2));
}

TEST_IN_CHILD(ReserveTest, TakeAfterStaysWithinTheReservation) {
  uint32_t all = static_cast<uint32_t>(HAK_RESERVE_FIRST / hak_super_bytes());
  hak_superslab_t* first = Take(1, 1);
  EXPECT_FALSE(TakeAfter(first, all));
  EXPECT_FALSE(TakeAfter(first, UINT32_MAX));
  EXPECT_TRUE(TakeAfter(first, all - 1));
  EXPECT_EQ(FreeSupers(), 0u);
  EXPECT_FALSE(TakeAfter(At(first, all - 1), 1));
  Give(At(first, 1), 1);
  Give(At(first, 3), 1);
  EXPECT_FALSE(TakeAfter(first, 2)) << "the second of the two is in use";
  EXPECT_TRUE(TakeAfter(first, 1));
}

TEST_IN_CHILD(ReserveTest, TheirNumberGrowsWithTheLogarithmOfTheHeap) {
  for (int i = 0; i < 32; ++i) ASSERT_NE(Take(16, 1), nullptr);  // 1 GiB
  EXPECT_GE(hak_reserve_bytes(), HAK_GIB);
  EXPECT_LE(hak_reserve_count(), 6u);  // 8 + 64 + 72 + 144 + 288 MiB are not enough
}

// ---- refusals ----

TEST_IN_CHILD(ReserveTest, WhereMuchIsRefusedLessIsTaken) {
  constexpr size_t kMost = 12 * HAK_MIB;
  hak::ScopedFault fault([](hak_kernel_kind_t kind, size_t bytes) {
    return kind == HAK_KERNEL_MMAP && bytes > kMost ? ENOMEM : 0;
  });
  for (int i = 0; i < 20; ++i) ASSERT_NE(Take(1, 1), nullptr);
  EXPECT_LE(hak_reserve_get(0)->n_supers * hak_super_bytes(), kMost);
  EXPECT_EQ(Take(7, 1), nullptr);  // 14 MiB
}

TEST_IN_CHILD(ReserveTest, OneSuperSlabIsEnoughToGoOn) {
  // A SuperSlab and its guard, and another to align it; descriptors and their leaf of the page map
  // are smaller.
  hak::ScopedFault fault([](hak_kernel_kind_t kind, size_t bytes) {
    return kind == HAK_KERNEL_MMAP && bytes > 2 * hak_super_bytes() + HAK_PAGE_BYTES ? ENOMEM : 0;
  });
  for (int i = 0; i < 10; ++i) ASSERT_NE(Take(1, 1), nullptr);
}

// Past the last byte of a reservation nothing is reached, whatever was mapped there.
TEST_IN_CHILD(ReserveTest, BehindAReservationLiesAGuard) {
  for (int i = 0; i < 3; ++i) {
    hak_superslab_t* super = Take(1, 1);
    ASSERT_NE(super, nullptr);
    const hak_reservation_t* r = super->reservation;
    while (Take(1, 1)->reservation == r) {
    }
    uintptr_t end = r->base + r->n_supers * hak_super_bytes();
    EXPECT_TRUE(hak::CanBeRead(end - 1));
    EXPECT_FALSE(hak::CanBeRead(end));
    EXPECT_FALSE(hak::CanBeRead(end + HAK_RESERVE_GUARD - 1));
  }
}

TEST_IN_CHILD(ReserveTest, RefusalIsNullAndNotForEver) {
  {
    hak::ScopedFault fault(hak::Refuse(HAK_KERNEL_MMAP, ENOMEM));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(Take(1, 1), nullptr);
    EXPECT_EQ(hak_reserve_count(), 0u);
    EXPECT_EQ(hak_reserve_bytes(), 0u);
  }
  EXPECT_NE(Take(1, 1), nullptr);
}

// Address space without descriptors for it is of no use and is given back.
TEST_IN_CHILD(ReserveTest, RefusedMetadataLeavesNothing) {
  auto bytes_of = [](hak_kernel_kind_t kind) {
    return hak_load_relaxed(&hak_platform_counters(kind)->bytes);
  };
  {
    hak::ScopedFault fault([](hak_kernel_kind_t kind, size_t bytes) {
      return kind == HAK_KERNEL_MMAP && bytes < HAK_RESERVE_FIRST ? ENOMEM : 0;
    });
    EXPECT_EQ(Take(1, 1), nullptr);
    EXPECT_EQ(bytes_of(HAK_KERNEL_MMAP), bytes_of(HAK_KERNEL_MUNMAP));
  }
  EXPECT_NE(Take(1, 1), nullptr);
}

// ---- reservations given back ----

std::vector<hak_superslab_t*> TakeAll(uint32_t n) {
  std::vector<hak_superslab_t*> all;
  while (hak_superslab_t* super = Take(n, 1)) all.push_back(super);
  return all;
}

// Where a kernel commits no more, what is free serves any request, however the reservations were
// cut when it was first asked for; and their descriptors serve again.
TEST_IN_CHILD(ReserveTest, WhatNobodyUsesMakesRoomForOthers) {
  hak::ScopedFault fault(hak::CommitLimit(200 * HAK_MIB));
  size_t n = TakeAll(1).size();
  EXPECT_GE(n * hak_super_bytes(), 180 * HAK_MIB);
  size_t metadata_bytes = 0;
  for (int round = 0; round < 10; ++round) {
    for (unsigned i = 0; i < hak_reserve_count(); ++i) {
      const hak_reservation_t* r = hak_reserve_get(i);
      if (r->base != 0) Give(hak_reserve_super(r, 0), r->n_supers);
    }
    EXPECT_EQ(FreeSupers() * hak_super_bytes(), hak_reserve_bytes());
    hak_superslab_t* large = Take(85, 1);
    ASSERT_NE(large, nullptr) << round;
    memset(reinterpret_cast<void*>(large->base), 1, hak_super_bytes());
    Give(large, 85);
    EXPECT_GE(TakeAll(1).size(), n - 5) << round;
    if (round == 1) metadata_bytes = hak_meta_used_bytes();
  }
  EXPECT_EQ(hak_meta_used_bytes(), metadata_bytes);
}

TEST_IN_CHILD(ReserveTest, WhatIsUsedStays) {
  hak::ScopedFault fault(hak::CommitLimit(93 * HAK_MIB));
  hak_superslab_t* used = Take(3, 1);
  memset(reinterpret_cast<void*>(used->base), 7, hak_super_bytes());
  EXPECT_EQ(Take(42, 1), nullptr);
  EXPECT_EQ(hak_page_map_super(reinterpret_cast<void*>(used->base)), used);
  EXPECT_EQ(*reinterpret_cast<char*>(used->base), 7);
  uintptr_t base = used->base;
  Give(used, 3);
  EXPECT_NE(Take(42, 1), nullptr);
  auto* now = hak_page_map_super(reinterpret_cast<void*>(base));
  EXPECT_TRUE(now == nullptr || now->reservation->n_supers >= 42) << "the old one is forgotten";
}

// A request that exceeds all there is does not cost the program the memory it has ready.
TEST_IN_CHILD(ReserveTest, AHopelessRequestChangesNothing) {
  hak::ScopedFault fault([](hak_kernel_kind_t kind, size_t bytes) {
    return kind == HAK_KERNEL_MMAP && bytes > HAK_GIB ? ENOMEM : 0;
  });
  Give(Take(1, 1), 1);
  size_t bytes = hak_reserve_bytes();
  for (uint32_t n : {1000u, 1u << 19}) EXPECT_EQ(Take(n, 1), nullptr);
  EXPECT_EQ(hak_reserve_bytes(), bytes);
  EXPECT_EQ(hak::KernelCalls(HAK_KERNEL_MUNMAP), 0u);
}

TEST_IN_CHILD(ReserveTest, WhatTheKernelWillNotUnmapStaysUsable) {
  Give(Take(4, 1), 4);
  uint64_t free_supers = FreeSupers();
  {
    hak::ScopedFault fault([](hak_kernel_kind_t kind, size_t bytes) {
      bool refused =
          kind == HAK_KERNEL_MUNMAP || (kind == HAK_KERNEL_MMAP && bytes > HAK_RESERVE_FIRST);
      return refused ? ENOMEM : 0;
    });
    EXPECT_EQ(Take(33, 1), nullptr);
  }
  EXPECT_EQ(FreeSupers(), free_supers);
  hak_superslab_t* super = Take(4, 1);
  ASSERT_NE(super, nullptr);
  *reinterpret_cast<char*>(super->base) = 1;
  EXPECT_EQ(hak_reserve_count(), 1u);
}

TEST_IN_CHILD(ReserveTest, TakesAFractionOfALimitedAddressSpace) {
  if (hak::kUnderSanitizer) return;
  struct rlimit limit = {HAK_GIB, HAK_GIB};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
  ASSERT_NE(Take(1, 1), nullptr);
  EXPECT_LE(hak_reserve_bytes(), HAK_GIB / HAK_RESERVE_LIMIT_FRACTION);
}

// ---- after a fork ----

TEST_IN_CHILD(ReserveTest, RepairBelievesTheStates) {
  hak_superslab_t* first = Take(4, 1);
  auto set_state = [](hak_superslab_t* super, hak_super_state_t state) {
    hak_store_relaxed(&super->state, static_cast<uint8_t>(state));
  };
  set_state(At(first, 0), HAK_SUPER_PAGES);
  set_state(At(first, 1), HAK_SUPER_HUGE);
  set_state(At(first, 2), HAK_SUPER_LOST);
  // 3: taken but not made anything of yet, as when another thread is caught there.
  hak_lock_acquire(&hak_backend_lock);
  hak_reserve_repair();
  hak_lock_release(&hak_backend_lock);
  EXPECT_EQ(FreeSupers(), HAK_RESERVE_FIRST / hak_super_bytes() - 3);
  EXPECT_EQ(Take(1, 1), At(first, 3));
}

// Whether it was unmapped already cannot be known: the child leaves it alone.
TEST_IN_CHILD(ReserveTest, RepairGivesUpAReservationOnItsWayOut) {
  hak_superslab_t* super = Take(1, 1);
  Give(super, 1);
  hak_reserve_get(0)->is_leaving = true;
  hak_lock_acquire(&hak_backend_lock);
  hak_reserve_repair();
  hak_lock_release(&hak_backend_lock);
  EXPECT_EQ(FreeSupers(), 0u);
  hak_superslab_t* other = Take(1, 1);
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(other->reservation, hak_reserve_get(1));
}

}  // namespace
