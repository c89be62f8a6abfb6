// What is known of the watched process: the last two states of its page, and what follows from
// them. Rates are per second of the writer's clock, so that it does not matter when they were
// looked at. NAN is a figure that is not known: the page says HAK_UNKNOWN, there is only one state
// yet, a counter went backwards, or no time has passed.

#ifndef HAKMEM_TOOLS_HAKTOP_MODEL_H_
#define HAKMEM_TOOLS_HAKTOP_MODEL_H_

#include <stdbool.h>

#include "hakmem/telemetry/shared_page.h"

typedef enum ht_status {
  HT_RUNNING,
  HT_SILENT,  // the page has not changed for a while
  HT_STUCK,   // the writer stopped in the middle of an update
  HT_ENDED,
} ht_status;

typedef struct ht_kernel_rates {
  double calls, bytes, ns;
} ht_kernel_rates;

// The kinds of kernel_calls.def, in its order.
enum { HT_N_KERNEL_CALLS = HAK_KERNEL_N_KINDS };

typedef struct ht_rates {
  double user, system;  // CPU seconds a second
  double kernel_share;  // system of user and system
  double minor_faults, major_faults;
  double refills, flushes, remote_frees, remote_atomics;
  double taken, returned;  // blocks, between slabs and threads
  double lock_acquisitions, lock_contentions;
  ht_kernel_rates kernel[HT_N_KERNEL_CALLS];
} ht_rates;

// What the history keeps of each state.
typedef enum ht_series {
  HT_SERIES_RSS,  // bytes, as the next three
  HT_SERIES_COMMITTED,
  HT_SERIES_LIVE,
  HT_SERIES_RETAINED,
  HT_SERIES_CPU,  // of one processor
  HT_SERIES_KERNEL_SHARE,
  HT_SERIES_FAULTS,  // a second, as the rest
  HT_SERIES_TAKEN,
  HT_SERIES_RETURNED,
  HT_SERIES_CALLS,  // into the kernel
  HT_N_SERIES,
} ht_series;

enum { HT_HISTORY = 512 };  // states

typedef struct ht_model {
  // Set by who watches.
  int pid;
  char command[64];
  ht_status status;
  double watched_s;  // since the watch began
  double silent_s;   // since the page last changed

  hak_shared_page_t now;
  hak_shared_page_t before;
  int n_states;  // 0: none; 1: `now`; 2: both
  ht_rates rates;
  double history[HT_N_SERIES][HT_HISTORY];  // the newest at (n_history - 1) % HT_HISTORY
  unsigned n_history;                       // ever
} ht_model;

// Columns of the table of classes; each one's value is a count unless it says otherwise.
typedef enum ht_class_column {
  HT_CLASS_BLOCK_BYTES,  // bytes
  HT_CLASS_LIVE,
  HT_CLASS_LIVE_BYTES,  // bytes
  HT_CLASS_CAPACITY,
  HT_CLASS_OCCUPANCY,  // live of capacity, 0..1
  HT_CLASS_SLABS,
  HT_CLASS_CACHED,
  HT_CLASS_TAKEN,   // a second
  HT_CLASS_REMOTE,  // a second
  HT_CLASS_RETURNED,
  HT_CLASS_REFILLS,
  HT_CLASS_FLUSHES,
  HT_CLASS_OUTGOING,
  HT_CLASS_ADOPTIONS,
  HT_CLASS_EXHAUSTIONS,
  HT_CLASS_N_COLUMNS,
} ht_class_column;

// A new state of the page.
void ht_model_add(ht_model* model, const hak_shared_page_t* page);

// The value of a series `back` states ago; NAN before the first.
double ht_history(const ht_model* model, ht_series series, unsigned back);

const char* ht_kernel_call_name(unsigned call);
const hak_kernel_stats* ht_kernel_call(const hak_stats* stats, unsigned call);

double ht_class_value(const ht_model* model, unsigned size_class, ht_class_column column);

// The classes that are or were in use, by a column: the largest first, or the smallest. What is not
// known comes last either way, and equals by their live bytes. Returns how many.
unsigned ht_classes_sorted(const ht_model* model, ht_class_column column, bool is_reversed,
                           unsigned order[HAK_N_CLASSES]);

// Events in the page: the first ones of its array, which has no more.
unsigned ht_event_count(const ht_model* model);

// A reason of hak_retention, as telemetry names it, and its bytes.
enum {
#define HAK_REASON(reason, meaning) HT_REASON_##reason,
#include "hakmem/telemetry/stats.def"
  HT_N_REASONS
};
const char* ht_reason_name(unsigned reason);
double ht_reason_bytes(const ht_model* model, unsigned reason);

// Committed bytes that are not live: what the reasons add up to in a quiescent program.
double ht_retained_bytes(const ht_model* model);

#endif  // HAKMEM_TOOLS_HAKTOP_MODEL_H_
