// The two limits, what is asked of the container for them, and the stages.

#include "hakmem/superslab/limit.h"

#include <string.h>

#include "hakmem/base/bits.h"
#include "hakmem/options/events.h"
#include "hakmem/options/options.h"
#include "hakmem/platform/container.h"
#include "hakmem/superslab/layout.h"

// Growth after which the container is asked again.
#define ASK_BYTES (16 * HAK_MIB)
// Memory is no longer short when it has fallen so far below the soft limit: one part in so many.
#define RELIEF_SHARE 16
// Shares of the container's memory are kept in so many parts.
#define WHOLE 1000

_Atomic(size_t) hak_limit_soft_bytes = SIZE_MAX, hak_limit_hard_bytes = SIZE_MAX;
_Atomic(bool) hak_limit_near;
static unsigned soft_share, hard_share;  // lock:BACKEND: of the container's memory; 0: not a share
static size_t ask_at = SIZE_MAX;         // lock:BACKEND: in use, when the container is asked again
static hak_counter_t approaches, refusals;  // lock:BACKEND to write

uint64_t hak_limit_approaches(void) { return hak_counter_read(&approaches); }
uint64_t hak_limit_refusals(void) { return hak_counter_read(&refusals); }

// Where a soft limit lies that nobody has set.
static size_t below(size_t hard) { return hard == SIZE_MAX ? SIZE_MAX : hard - hard / 8; }

static void store(size_t soft, size_t hard) {
  hak_store_relaxed(&hak_limit_soft_bytes, hak_min_size(soft, hard));
  hak_store_relaxed(&hak_limit_hard_bytes, hard);
}

// ---- the container ----

static size_t share_of(uint64_t bytes, unsigned share) {
  if (bytes == UINT64_MAX) return SIZE_MAX;
  return (size_t)(bytes / WHOLE * share + bytes % WHOLE * share / WHOLE);
}

static void ask(size_t in_use) {
  hak_container_t container;
  hak_container_ask("", &container);
  uint64_t high = container.high < container.most ? container.high : container.most;
  size_t soft = hak_limit_soft(), hard = hak_limit_hard();
  if (hard_share != 0) hard = share_of(container.most, hard_share);
  if (soft_share != 0) soft = share_of(high, soft_share);
  store(soft, hard);
  ask_at = in_use + ASK_BYTES;
}

// ---- stages ----

bool hak_limit_admits(size_t in_use, size_t bytes) {
  size_t wanted = in_use + bytes;
  if (ask_at != SIZE_MAX && (wanted >= ask_at || wanted > hak_limit_hard())) ask(in_use);
  if (hak_likely(wanted <= hak_limit_hard())) return true;
  hak_counter_add(&refusals, 1);
  hak_event_record(HAK_EVENT_AT_LIMIT, 0, 0, bytes, 0);
  return false;
}

bool hak_limit_note(size_t committed) {
  bool was_near = hak_limit_is_near();
  size_t bound = hak_limit_soft();
  if (was_near && bound != SIZE_MAX) bound -= bound / RELIEF_SHARE;
  if ((committed > bound) == was_near) return false;
  hak_store_relaxed(&hak_limit_near, !was_near);
  if (was_near) return false;
  hak_counter_add(&approaches, 1);
  hak_event_record(HAK_EVENT_NEAR_LIMIT, 0, 0, committed, 0);
  return true;
}

// ---- setting them ----

bool hak_limit_set(size_t soft, size_t hard, size_t committed) {
  if (soft == 0) soft = below(hard);
  if (hard == 0 || soft > hard) return false;
  hak_lock_acquire(&hak_backend_lock);
  soft_share = hard_share = 0;
  ask_at = SIZE_MAX;
  store(soft, hard);
  (void)hak_limit_note(committed);
  hak_lock_release(&hak_backend_lock);
  return true;
}

// One limit of the option: bytes, or a share, of which the bytes are not known yet.
typedef struct bound {
  size_t bytes;
  unsigned share;
} bound_t;

static bool parse(const char* text, const char* end, bound_t* bound) {
  int64_t number;
  bool is_share = end != text && end[-1] == '%';
  if (is_share) end--;
  if (!hak_parse_bytes(text, end, &number) || number <= 0) return false;
  if (is_share && (number > 100 || end[-1] < '0' || end[-1] > '9')) return false;
  bound->bytes = is_share ? SIZE_MAX : (size_t)number;
  bound->share = is_share ? (unsigned)number * (WHOLE / 100) : 0;
  return true;
}

static bool parse_both(const char* text, bound_t* soft, bound_t* hard) {
  const char* end = text + strlen(text);
  const char* comma = strchr(text, ',');
  if (!parse(comma != NULL ? comma + 1 : text, end, hard)) return false;
  if (comma != NULL) {
    if (!parse(text, comma, soft)) return false;
    bool are_alike = (soft->share != 0) == (hard->share != 0);
    return !are_alike || (soft->bytes <= hard->bytes && soft->share <= hard->share);
  }
  *soft = (bound_t){.bytes = below(hard->bytes), .share = hard->share - hard->share / 8};
  return true;
}

void hak_limit_load(void) {
  const char* text = hak_option_text(HAK_OPTION_limit);
  bound_t soft, hard;
  if (text == NULL) return;
  if (!parse_both(text, &soft, &hard)) {
    hak_option_refuse(
        HAK_OPTION_limit,
        "is not understood ([SOFT,]HARD, each in bytes, as 512M, or a share of what the container "
        "has, 1% to 100%; SOFT is not above HARD); there is no limit");
    return;
  }
  store(soft.bytes, hard.bytes);
  soft_share = soft.share;
  hard_share = hard.share;
  if (soft_share + hard_share != 0) ask_at = ASK_BYTES;
}
