// Tests of the schema of records: every key is found, and values of another kind are refused.

extern "C" {
#include "tools/common/record_schema.h"
}

#include <gtest/gtest.h>

namespace {

TEST(RecordTest, EveryFieldIsFoundByItsName) {
  for (int i = 0; i < HP_FIELD_COUNT; i++) {
    EXPECT_EQ(record_field(record_field_name(static_cast<hp_field>(i))), i);
  }
  EXPECT_EQ(record_field("telemetry_vmas"), HP_vmas);
  EXPECT_EQ(record_field("telemetry_failures"), HP_telemetry_failures);  // its own name
  EXPECT_EQ(record_field("nothing"), HP_FIELD_COUNT);
}

TEST(RecordTest, AKeyHasOneType) {
  json_t* number = json_integer(1);
  json_t* text = json_string("blocks");
  EXPECT_TRUE(record_fits("order", number));
  EXPECT_FALSE(record_fits("order", text));
  EXPECT_TRUE(record_fits("order", json_null()));
  EXPECT_TRUE(record_fits("baseline", json_true()));
  EXPECT_FALSE(record_fits("phase", number));
  EXPECT_FALSE(record_fits("telemetry_vmas", text));
  EXPECT_TRUE(record_fits("replay_order", text));  // its writer's own
  json_decref(number);
  json_decref(text);
}

}  // namespace
