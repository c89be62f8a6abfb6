// Tests of the model: rates, unknown figures, counters that go backwards.

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tools/haktop/test_page.h"

extern "C" {
#include "tools/haktop/model.h"
}

namespace {

using haktop_testing::FillPage;

class ModelTest : public testing::Test {
 protected:
  void Add(unsigned seconds) {
    FillPage(&page_, seconds);
    ht_model_add(&model_, &page_);
  }

  std::vector<unsigned> Sorted(ht_class_column column, bool is_reversed = false) {
    unsigned order[HAK_N_CLASSES];
    unsigned n = ht_classes_sorted(&model_, column, is_reversed, order);
    return std::vector<unsigned>(order, order + n);
  }

  hak_shared_page_t page_{};
  ht_model model_{};
};

TEST_F(ModelTest, OneStateHasNoRates) {
  Add(3);
  EXPECT_TRUE(std::isnan(model_.rates.refills));
  EXPECT_TRUE(std::isnan(model_.rates.user));
  EXPECT_TRUE(std::isnan(model_.rates.kernel_share));
  EXPECT_TRUE(std::isnan(model_.rates.kernel[5].calls));
  EXPECT_TRUE(std::isnan(ht_class_value(&model_, 4, HT_CLASS_TAKEN)));
  EXPECT_EQ(ht_class_value(&model_, 4, HT_CLASS_BLOCK_BYTES), 64);
}

TEST_F(ModelTest, RatesAreOfTheLastTwoStatesPerSecondOfTheWritersClock) {
  Add(1);
  Add(3);
  Add(7);
  EXPECT_DOUBLE_EQ(model_.rates.refills, 7000);
  EXPECT_DOUBLE_EQ(model_.rates.minor_faults, 250);
  EXPECT_DOUBLE_EQ(model_.rates.major_faults, 0);
  EXPECT_DOUBLE_EQ(model_.rates.user, 1.5);
  EXPECT_DOUBLE_EQ(model_.rates.system, 0.5);
  EXPECT_DOUBLE_EQ(model_.rates.kernel_share, 0.25);
  EXPECT_DOUBLE_EQ(model_.rates.kernel[2].calls, 25);
  EXPECT_DOUBLE_EQ(model_.rates.kernel[2].bytes, 25 * 65536);
  EXPECT_DOUBLE_EQ(model_.rates.kernel[2].ns, 25 * 1500);
  EXPECT_DOUBLE_EQ(ht_class_value(&model_, 4, HT_CLASS_TAKEN), 120000);
  EXPECT_DOUBLE_EQ(ht_class_value(&model_, 4, HT_CLASS_REMOTE), 12000);
}

TEST_F(ModelTest, ACounterThatIsUnknownOrGoesBackwardsHasNoRate) {
  Add(1);
  FillPage(&page_, 2);
  page_.stats.refills = HAK_UNKNOWN;
  page_.stats.flushes = 0;
  page_.stats.mmap.calls = HAK_UNKNOWN;
  page_.classes[4].taken = 0;
  ht_model_add(&model_, &page_);
  EXPECT_TRUE(std::isnan(model_.rates.refills));
  EXPECT_TRUE(std::isnan(model_.rates.flushes));
  EXPECT_TRUE(std::isnan(model_.rates.kernel[0].calls));
  EXPECT_TRUE(std::isnan(ht_class_value(&model_, 4, HT_CLASS_TAKEN)));
  EXPECT_DOUBLE_EQ(model_.rates.remote_frees, 123456);
  // Known again, but not before.
  Add(3);
  EXPECT_TRUE(std::isnan(model_.rates.refills));
}

TEST_F(ModelTest, NoTimeOrUnknownTimeHasNoRates) {
  Add(2);
  FillPage(&page_, 3);
  page_.stats.time_ns = model_.now.stats.time_ns;
  ht_model_add(&model_, &page_);
  EXPECT_TRUE(std::isnan(model_.rates.refills));
  EXPECT_TRUE(std::isnan(model_.rates.kernel_share));
  page_.stats.time_ns = HAK_UNKNOWN;
  ht_model_add(&model_, &page_);
  EXPECT_TRUE(std::isnan(model_.rates.refills));
}

TEST_F(ModelTest, TheKernelShareOfLittleCpuTimeIsUnknown) {
  Add(1);
  FillPage(&page_, 2);
  page_.stats.user_ns = model_.now.stats.user_ns + 20000000;
  page_.stats.system_ns = model_.now.stats.system_ns + 19000000;
  ht_model_add(&model_, &page_);
  EXPECT_TRUE(std::isnan(model_.rates.kernel_share));
  EXPECT_NEAR(model_.rates.user, 0.02, 1e-9);
  page_.stats.time_ns += 1000000000;
  page_.stats.user_ns += 30000000;
  page_.stats.system_ns += 10000000;
  ht_model_add(&model_, &page_);
  EXPECT_NEAR(model_.rates.kernel_share, 0.25, 1e-9);
}

TEST_F(ModelTest, KernelCallsHaveTheirOwnCounters) {
  std::set<const hak_kernel_stats*> places;
  for (unsigned i = 0; i < HT_N_KERNEL_CALLS; i++) {
    places.insert(ht_kernel_call(&page_.stats, i));
  }
  EXPECT_EQ(places.size(), HT_N_KERNEL_CALLS);
  EXPECT_EQ(ht_kernel_call(&page_.stats, HAK_KERNEL_FUTEX), &page_.stats.futex);
  EXPECT_EQ(ht_kernel_call(&page_.stats, 2), &page_.stats.madvise);
  EXPECT_STREQ(ht_kernel_call_name(2), "madvise");
}

TEST_F(ModelTest, ClassesThatWereNeverUsedAreLeftOut) {
  EXPECT_TRUE(Sorted(HT_CLASS_TAKEN).empty());
  Add(1);
  EXPECT_EQ(Sorted(HT_CLASS_BLOCK_BYTES), (std::vector<unsigned>{72, 32, 16, 8, 4}));
  FillPage(&page_, 2);
  page_.classes[20].taken = 1;  // was used once
  ht_model_add(&model_, &page_);
  EXPECT_EQ(Sorted(HT_CLASS_TAKEN).size(), 6u);
}

TEST_F(ModelTest, SortingPutsTheUnknownLastEitherWay) {
  Add(1);
  FillPage(&page_, 2);
  page_.classes[8].taken = HAK_UNKNOWN;
  ht_model_add(&model_, &page_);
  EXPECT_EQ(Sorted(HT_CLASS_TAKEN), (std::vector<unsigned>{4, 16, 32, 72, 8}));
  EXPECT_EQ(Sorted(HT_CLASS_TAKEN, true), (std::vector<unsigned>{72, 32, 16, 4, 8}));
}

TEST_F(ModelTest, EqualsAreSortedByTheirLiveBytes) {
  Add(1);  // no rates yet: all are equally unknown
  EXPECT_EQ(Sorted(HT_CLASS_TAKEN), Sorted(HT_CLASS_LIVE_BYTES));
}

TEST_F(ModelTest, EveryColumnSortsByItsValue) {
  Add(1);
  Add(2);
  for (int column = 0; column < HT_CLASS_N_COLUMNS; column++) {
    auto order = Sorted(static_cast<ht_class_column>(column));
    ASSERT_EQ(order.size(), 5u);
    for (size_t i = 1; i < order.size(); i++) {
      EXPECT_GE(ht_class_value(&model_, order[i - 1], static_cast<ht_class_column>(column)),
                ht_class_value(&model_, order[i], static_cast<ht_class_column>(column)))
          << column;
    }
  }
}

TEST_F(ModelTest, OccupancyOfNoCapacityIsUnknown) {
  Add(1);
  EXPECT_DOUBLE_EQ(ht_class_value(&model_, 4, HT_CLASS_OCCUPANCY), 0.75);
  EXPECT_TRUE(std::isnan(ht_class_value(&model_, 5, HT_CLASS_OCCUPANCY)));
}

TEST_F(ModelTest, TheReasonsAddUpToWhatIsRetained) {
  Add(1);
  double sum = 0;
  std::set<std::string> names;
  for (unsigned i = 0; i < HT_N_REASONS; i++) {
    sum += ht_reason_bytes(&model_, i);
    names.insert(ht_reason_name(i));
  }
  EXPECT_EQ(sum, ht_retained_bytes(&model_));
  EXPECT_EQ(names.size(), HT_N_REASONS);
  // All fields of hak_retention are taken: two totals and the reasons.
  EXPECT_EQ(sizeof(hak_retention), (2 + HT_N_REASONS) * sizeof(uint64_t));
}

TEST_F(ModelTest, RetentionThatIsOutOfStepIsNotNegative) {
  FillPage(&page_, 1);
  page_.retention.live_bytes = page_.retention.committed_bytes + 1;
  ht_model_add(&model_, &page_);
  EXPECT_EQ(ht_retained_bytes(&model_), 0);
  page_.retention.live_bytes = HAK_UNKNOWN;
  ht_model_add(&model_, &page_);
  EXPECT_TRUE(std::isnan(ht_retained_bytes(&model_)));
}

TEST_F(ModelTest, NoMoreEventsThanThePageHolds) {
  EXPECT_EQ(ht_event_count(&model_), 0u);
  Add(1);  // 400 there were, six are left
  EXPECT_EQ(ht_event_count(&model_), 6u);
  for (hak_event_t& event : page_.events) event.sequence = 1;
  page_.n_events = UINT64_MAX;
  ht_model_add(&model_, &page_);
  EXPECT_EQ(ht_event_count(&model_), static_cast<unsigned>(HAK_SHARED_PAGE_EVENTS));
  page_.n_events = 5;
  ht_model_add(&model_, &page_);
  EXPECT_EQ(ht_event_count(&model_), 5u);
}

}  // namespace
