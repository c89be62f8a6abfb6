// The model: two states of a page, the rates between them, what was seen over time.

#include "tools/haktop/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/haktop/format.h"

// CPU time is sampled by the timer, 250 times a second or more: a share of less than ten ticks is
// chance.
static const double kMinCpuSeconds = 0.04;

// ---- rates ----

static double seconds_between(const ht_model* model) {
  uint64_t now = model->now.stats.time_ns;
  uint64_t before = model->before.stats.time_ns;
  bool is_known = model->n_states == 2 && now != HAK_UNKNOWN && before != HAK_UNKNOWN;
  return is_known && now > before ? (double)(now - before) * 1e-9 : NAN;
}

static double increase(uint64_t now, uint64_t before) {
  bool is_known = now != HAK_UNKNOWN && before != HAK_UNKNOWN && now >= before;
  return is_known ? (double)(now - before) : NAN;
}

static double kernel_share(double user_s, double system_s) {
  return user_s + system_s >= kMinCpuSeconds ? system_s / (user_s + system_s) : NAN;
}

static void find_rates(ht_model* model) {
  const hak_stats* now = &model->now.stats;
  const hak_stats* before = &model->before.stats;
  double seconds = seconds_between(model);
  double user_s = increase(now->user_ns, before->user_ns) * 1e-9;
  double system_s = increase(now->system_ns, before->system_ns) * 1e-9;
  ht_rates* rates = &model->rates;
#define RATE(field) (increase(now->field, before->field) / seconds)
  *rates = (ht_rates){
      .user = user_s / seconds,
      .system = system_s / seconds,
      .kernel_share = isnan(seconds) ? NAN : kernel_share(user_s, system_s),
      .minor_faults = RATE(minor_faults),
      .major_faults = RATE(major_faults),
      .refills = RATE(refills),
      .flushes = RATE(flushes),
      .remote_frees = RATE(remote_frees),
      .remote_atomics = RATE(remote_atomics),
      .lock_acquisitions = RATE(lock_acquisitions),
      .lock_contentions = RATE(lock_contentions),
  };
#undef RATE
  rates->taken = rates->returned = 0;
  for (unsigned i = 1; i < HAK_N_CLASSES; i++) {
    rates->taken += increase(model->now.classes[i].taken, model->before.classes[i].taken);
    rates->returned += increase(model->now.classes[i].returned, model->before.classes[i].returned);
  }
  rates->taken /= seconds;
  rates->returned /= seconds;
  for (unsigned i = 0; i < HT_N_KERNEL_CALLS; i++) {
    const hak_kernel_stats* call = ht_kernel_call(now, i);
    const hak_kernel_stats* earlier = ht_kernel_call(before, i);
    rates->kernel[i] = (ht_kernel_rates){
        .calls = increase(call->calls, earlier->calls) / seconds,
        .bytes = increase(call->bytes, earlier->bytes) / seconds,
        .ns = increase(call->ns, earlier->ns) / seconds,
    };
  }
}

static double all_calls(const ht_rates* rates) {
  double calls = 0;
  for (unsigned i = 0; i < HT_N_KERNEL_CALLS; i++) calls += rates->kernel[i].calls;
  return calls;
}

static void remember(ht_model* model) {
  const hak_stats* now = &model->now.stats;
  const ht_rates* rates = &model->rates;
  const double values[HT_N_SERIES] = {
      [HT_SERIES_RSS] = ht_known(now->rss_bytes),
      [HT_SERIES_COMMITTED] = ht_known(now->committed_bytes),
      [HT_SERIES_LIVE] = ht_known(now->allocated_bytes),
      [HT_SERIES_RETAINED] = ht_retained_bytes(model),
      [HT_SERIES_CPU] = rates->user + rates->system,
      [HT_SERIES_KERNEL_SHARE] = rates->kernel_share,
      [HT_SERIES_FAULTS] = rates->minor_faults + rates->major_faults,
      [HT_SERIES_TAKEN] = rates->taken,
      [HT_SERIES_RETURNED] = rates->returned,
      [HT_SERIES_CALLS] = all_calls(rates),
  };
  unsigned at = model->n_history++ % HT_HISTORY;
  for (unsigned i = 0; i < HT_N_SERIES; i++) model->history[i][at] = values[i];
}

double ht_history(const ht_model* model, ht_series series, unsigned back) {
  if (back >= model->n_history || back >= HT_HISTORY) return NAN;
  return model->history[series][(model->n_history - 1 - back) % HT_HISTORY];
}

void ht_model_add(ht_model* model, const hak_shared_page_t* page) {
  if (model->n_states > 0) memcpy(&model->before, &model->now, sizeof(*page));
  memcpy(&model->now, page, sizeof(*page));
  if (model->n_states < 2) model->n_states++;
  find_rates(model);
  remember(model);
}

// ---- calls into the kernel ----

static const struct {
  const char* name;
  size_t offset;
} kKernelCalls[HT_N_KERNEL_CALLS] = {
#define HAK_KERNEL_CALL(KIND, name) {#name, offsetof(hak_stats, name)},
#include "hakmem/platform/kernel_calls.def"
};

const char* ht_kernel_call_name(unsigned call) { return kKernelCalls[call].name; }

const hak_kernel_stats* ht_kernel_call(const hak_stats* stats, unsigned call) {
  return (const hak_kernel_stats*)((const char*)stats + kKernelCalls[call].offset);
}

// ---- size classes ----

// Where the columns find their figures, but for those that are worked out of several.
static const struct {
  size_t offset;
  bool is_rate;
} kClassFigures[HT_CLASS_N_COLUMNS] = {
#define AT(member) offsetof(hak_class_stats, member)
    [HT_CLASS_BLOCK_BYTES] = {AT(block_bytes), false},
    [HT_CLASS_LIVE] = {AT(live), false},
    [HT_CLASS_CAPACITY] = {AT(capacity), false},
    [HT_CLASS_SLABS] = {AT(slabs), false},
    [HT_CLASS_CACHED] = {AT(cached), false},
    [HT_CLASS_TAKEN] = {AT(taken), true},
    [HT_CLASS_REMOTE] = {AT(remote_frees), true},
    [HT_CLASS_RETURNED] = {AT(returned), true},
    [HT_CLASS_REFILLS] = {AT(refills), true},
    [HT_CLASS_FLUSHES] = {AT(flushes), true},
    [HT_CLASS_OUTGOING] = {AT(outgoing), false},
    [HT_CLASS_ADOPTIONS] = {AT(adoptions), false},
    [HT_CLASS_EXHAUSTIONS] = {AT(exhaustions), false},
#undef AT
};

double ht_class_value(const ht_model* model, unsigned size_class, ht_class_column column) {
  const hak_class_stats* now = &model->now.classes[size_class];
  const hak_class_stats* before = &model->before.classes[size_class];
  const size_t offset = kClassFigures[column].offset;
  if (column == HT_CLASS_LIVE_BYTES) return ht_known(now->live) * ht_known(now->block_bytes);
  if (column == HT_CLASS_OCCUPANCY)
    return now->capacity == 0 ? NAN : ht_known(now->live) / ht_known(now->capacity);
  const uint64_t value = *(const uint64_t*)((const char*)now + offset);
  if (!kClassFigures[column].is_rate) return ht_known(value);
  return increase(value, *(const uint64_t*)((const char*)before + offset)) / seconds_between(model);
}

typedef struct ranked {
  unsigned size_class;
  double key;  // larger comes first; NAN last
  double live_bytes;
} ranked;

// Larger before smaller before unknown.
static int compare_values(double a, double b) {
  if (isnan(a) || isnan(b)) return isnan(a) - isnan(b);
  return (a < b) - (a > b);
}

static int compare_ranked(const void* left, const void* right) {
  const ranked* a = left;
  const ranked* b = right;
  int order = compare_values(a->key, b->key);
  if (order == 0) order = compare_values(a->live_bytes, b->live_bytes);
  return order != 0 ? order : (a->size_class > b->size_class) - (a->size_class < b->size_class);
}

unsigned ht_classes_sorted(const ht_model* model, ht_class_column column, bool is_reversed,
                           unsigned order[HAK_N_CLASSES]) {
  ranked classes[HAK_N_CLASSES];
  unsigned n = 0;
  if (model->n_states == 0) return 0;
  for (unsigned i = 1; i < HAK_N_CLASSES; i++) {
    const hak_class_stats* now = &model->now.classes[i];
    if (now->slabs == 0 && now->capacity == 0 && now->taken == 0) continue;
    double value = ht_class_value(model, i, column);
    classes[n++] =
        (ranked){i, is_reversed ? -value : value, ht_class_value(model, i, HT_CLASS_LIVE_BYTES)};
  }
  qsort(classes, n, sizeof(classes[0]), compare_ranked);
  for (unsigned i = 0; i < n; i++) order[i] = classes[i].size_class;
  return n;
}

// ---- events ----

unsigned ht_event_count(const ht_model* model) {
  if (model->n_states == 0) return 0;
  // n_events are all there ever were; fewer may be left in the ring, and those are followed by
  // zeros.
  unsigned n = 0;
  while (n < HAK_SHARED_PAGE_EVENTS && n < model->now.n_events &&
         model->now.events[n].sequence != 0) {
    n++;
  }
  return n;
}

// ---- retention ----

static const struct {
  const char* name;
  size_t offset;
} kReasons[HT_N_REASONS] = {
#define HAK_REASON(reason, meaning) {#reason, offsetof(hak_retention, reason##_bytes)},
#include "hakmem/telemetry/stats.def"
};

const char* ht_reason_name(unsigned reason) { return kReasons[reason].name; }

double ht_reason_bytes(const ht_model* model, unsigned reason) {
  const char* retention = (const char*)&model->now.retention;
  return ht_known(*(const uint64_t*)(retention + kReasons[reason].offset));
}

double ht_retained_bytes(const ht_model* model) {
  const hak_retention* retention = &model->now.retention;
  double bytes = ht_known(retention->committed_bytes) - ht_known(retention->live_bytes);
  return bytes < 0 ? 0 : bytes;  // out of step: NAN stays NAN
}
