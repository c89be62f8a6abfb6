// The canary's value, and the bytes before it.

#include "hakmem/hardened/canary.h"

#include <string.h>

#include "hakmem/base/atomic.h"
#include "hakmem/hardened/fill.h"
#include "hakmem/hardened/random.h"
#include "hakmem/platform/check.h"
#include "hakmem/platform/memcheck.h"

// The canary of a block with no byte to spare. Where there are some, their number is added to each
// of its four parts, so that no change of a part alone tells of another number.
#define FOUR_TIMES UINT64_C(0x0001000100010001)

static uint64_t canary_of(const void* block) {
  static _Atomic(uint64_t) secret;
  uint64_t number = hak_load_relaxed(&secret);
  if (hak_unlikely(number == 0)) {
    number = hak_random_of_process() | 1;  // the same for all who come here
    hak_store_relaxed(&secret, number);
  }
  return hak_mix(number ^ (uintptr_t)block);
}

// Never 0: the terminator of a string, one byte too far, is the most frequent of such mistakes.
static unsigned char slack_byte(uint64_t canary) { return (unsigned char)(canary >> 56 | 1); }

void hak_canary_set(void* block, size_t bytes, size_t size) {
  size_t slack = bytes - HAK_CANARY_BYTES - size;
  hak_assert(slack <= HAK_CANARY_MAX_SLACK);
  uint64_t canary = canary_of(block);
  uint64_t word = canary ^ slack * FOUR_TIMES;
  char* end = (char*)block + size;
  hak_memcheck_quiet(true);
  memset(end, slack_byte(canary), slack);
  memcpy(end + slack, &word, sizeof word);
  hak_memcheck_quiet(false);
}

static bool get(const void* block, size_t bytes, size_t* size) {
  size_t most = bytes - HAK_CANARY_BYTES;
  uint64_t canary = canary_of(block);
  uint64_t word;
  memcpy(&word, (const char*)block + most, sizeof word);
  uint64_t slack = (word ^ canary) & HAK_CANARY_MAX_SLACK;
  if ((word ^ canary) != slack * FOUR_TIMES || slack > most) return false;
  *size = most - slack;
  return hak_is_filled((const char*)block + *size, slack, slack_byte(canary));
}

bool hak_canary_get(const void* block, size_t bytes, size_t* size) {
  hak_memcheck_quiet(true);
  bool is_whole = get(block, bytes, size);
  hak_memcheck_quiet(false);
  return is_whole;
}
