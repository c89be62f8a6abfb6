// Numbers as people read them: units, three digits, a dash for what is unknown.

#include "tools/haktop/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "hakmem/include/hakmem/hakmem.h"

double ht_known(uint64_t value) { return value == HAK_UNKNOWN ? NAN : (double)value; }

static char* unknown(char out[HT_NUMBER_BYTES]) {
  snprintf(out, HT_NUMBER_BYTES, "-");
  return out;
}

// How many decimals leave three digits, the rounding included: 9.999 is 10.0 and not 10.00.
static int decimals_of(double value) { return value < 9.995 ? 2 : value < 99.95 ? 1 : 0; }

// Three digits and a unit, each unit being `step` of the one before. The last unit takes what is
// left.
static char* scaled(char out[HT_NUMBER_BYTES], double value, double step, const char* const* units,
                    int n_units) {
  int unit = 0;
  while (unit < n_units - 1 && value >= step - 0.5) {
    value /= step;
    unit++;
  }
  snprintf(out, HT_NUMBER_BYTES, "%.*f%s", decimals_of(value), value, units[unit]);
  return out;
}

char* ht_format_count(char out[HT_NUMBER_BYTES], double value) {
  static const char* const kUnits[] = {"", "k", "M", "G", "T", "P", "E"};
  if (isnan(value)) return unknown(out);
  // Three digits would not show the difference.
  bool is_whole = fabs(value - round(value)) < 0.005 && (value >= 0.995 || value == 0);
  // What fits five characters anyway is shown exactly.
  if (value < 99999.5 && (is_whole || value >= 999.5)) {
    snprintf(out, HT_NUMBER_BYTES, "%.0f", value);
    return out;
  }
  return scaled(out, value, 1000, kUnits, 7);
}

char* ht_format_bytes(char out[HT_NUMBER_BYTES], double bytes) {
  static const char* const kUnits[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
  if (isnan(bytes)) return unknown(out);
  if (bytes < 1023.5) {
    snprintf(out, HT_NUMBER_BYTES, "%.0f B", bytes);
    return out;
  }
  return scaled(out, bytes, 1024, kUnits, 7);
}

char* ht_format_duration(char out[HT_NUMBER_BYTES], double ns) {
  static const char* const kUnits[] = {" ns", " us", " ms", " s", "k s", "M s", "G s"};
  if (isnan(ns)) return unknown(out);
  if (ns == 0) {
    snprintf(out, HT_NUMBER_BYTES, "0");
    return out;
  }
  return scaled(out, ns, 1000, kUnits, 7);
}

char* ht_format_percent(char out[HT_NUMBER_BYTES], double share) {
  if (isnan(share)) return unknown(out);
  double percent = share * 100;
  if (percent > 0 && percent < 0.05) {
    snprintf(out, HT_NUMBER_BYTES, "<0.1%%");
  } else {
    snprintf(out, HT_NUMBER_BYTES, "%.*f%%", percent < 99.95 ? 1 : 0, percent);
  }
  return out;
}

char* ht_format_clock(char out[HT_NUMBER_BYTES], double seconds) {
  if (isnan(seconds)) return unknown(out);
  uint64_t whole = (uint64_t)seconds;
  uint64_t hours = whole / 3600;
  unsigned minutes = (unsigned)(whole / 60 % 60);
  if (hours > 0) {
    snprintf(out, HT_NUMBER_BYTES, "%" PRIu64 ":%02u:%02u", hours, minutes, (unsigned)(whole % 60));
  } else {
    snprintf(out, HT_NUMBER_BYTES, "%u:%02u", minutes, (unsigned)(whole % 60));
  }
  return out;
}
