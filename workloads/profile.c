// Profiles: the built-in one, and files of sizes, rates and live numbers.

#include "workloads/profile.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workloads/harness/measure.h"
#include "workloads/harness/text_file.h"

static const wl_profile_row kBuiltin[] = {
    {8, 9000, 30000},   {16, 21000, 90000}, {24, 14000, 60000}, {32, 17000, 80000},
    {40, 8000, 42000},  {48, 11000, 60000}, {64, 12000, 45000}, {80, 5000, 21000},
    {96, 4500, 18000},  {112, 2500, 9000},  {128, 4000, 14000}, {160, 2600, 8000},
    {192, 2200, 7000},  {256, 3600, 11000}, {320, 1200, 2600},  {384, 900, 2400},
    {512, 2400, 6000},  {640, 500, 900},    {768, 420, 1000},   {1024, 1800, 4200},
    {1536, 400, 700},   {2048, 900, 1600},  {3000, 260, 320},   {4096, 800, 1500},
    {6144, 130, 120},   {8192, 420, 700},   {12288, 80, 60},    {16384, 160, 260},
    {32768, 90, 170},   {65536, 34, 120},   {131072, 9, 40},    {262144, 4, 30},
    {1048576, 1.2, 12}, {2097152, 0.5, 5},  {4194304, 0.1, 2},
};

wl_profile wl_profile_builtin(void) {
  return (wl_profile){kBuiltin, sizeof(kBuiltin) / sizeof(kBuiltin[0])};
}

double wl_profile_live_bytes(const wl_profile* profile) {
  double bytes = 0;
  for (size_t i = 0; i < profile->count; i++) {
    bytes += (double)profile->rows[i].size * profile->rows[i].live;
  }
  return bytes;
}

static const char* skip_blanks(const char* text) { return text + strspn(text, " \t\r"); }

// Reads one number and the comma (or the end of the row) behind it.
static bool read_field(const char** text, bool is_last, double* value) {
  char* end;
  const char* start = skip_blanks(*text);
  if (*start == '\n' || *start == '\0') return false;
  *value = strtod(start, &end);
  if (end == start || !isfinite(*value) || *value < 0) return false;
  const char* rest = skip_blanks(end);
  if (is_last) {
    *text = rest;
    return *rest == '\n' || *rest == '\0';
  }
  *text = rest + 1;
  return *rest == ',';
}

// Reads one row. Returns NULL, or what is wrong with it.
static const char* read_row(const char* text, wl_profile_row* row) {
  double size;
  if (!read_field(&text, false, &size) || !read_field(&text, false, &row->rate) ||
      !read_field(&text, true, &row->live)) {
    return "expected three numbers: size, rate, live";
  }
  if (size < 1 || size > UINT32_MAX || size != floor(size)) {
    return "the size must be a whole number from 1 to 4294967295";
  }
  row->size = (uint64_t)size;
  return NULL;
}

bool wl_profile_read(const char* path, wl_profile* out, char message[WL_PROFILE_MESSAGE_BYTES]) {
  wl_profile_row* rows = wl_reserve(WL_PROFILE_MAX_ROWS * sizeof(*rows));
  size_t count = 0;
  int line = 0;
  size_t bytes;
  char* whole = wl_read_text(path, &bytes);
  if (whole == NULL) {
    snprintf(message, WL_PROFILE_MESSAGE_BYTES, "%s: %s", path, strerror(errno));
    return false;
  }
  const char* text = whole;
  for (const char* next; *text != '\0'; text = next) {
    next = text + strcspn(text, "\n");
    if (*next == '\n') next++;
    line++;
    const char* start = skip_blanks(text);
    if (*start == '#' || *start == '\n' || *start == '\0') continue;
    const char* wrong =
        count == WL_PROFILE_MAX_ROWS ? "too many rows" : read_row(start, &rows[count]);
    if (wrong != NULL) {
      snprintf(message, WL_PROFILE_MESSAGE_BYTES, "%s:%d: %s", path, line, wrong);
      return false;
    }
    if (rows[count].rate > 0 && rows[count].live > 0) count++;
  }
  if (count == 0) {
    snprintf(message, WL_PROFILE_MESSAGE_BYTES, "%s: no row has a rate and live blocks", path);
    return false;
  }
  wl_free_text(whole, bytes);
  wl_trim(rows, WL_PROFILE_MAX_ROWS * sizeof(*rows), count * sizeof(*rows));
  *out = (wl_profile){rows, count};
  return true;
}
