// Numbers as people read them: units, three digits, a dash for what is unknown.

#include "tools/haktop/format.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "hakmem/include/hakmem/hakmem.h"

double ht_known(uint64_t value) { return value == HAK_UNKNOWN ? NAN : (double)value; }

static ht_number __attribute__((format(printf, 1, 2))) number(const char* format, ...) {
  ht_number out;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(out.text, sizeof(out.text), format, arguments);
  va_end(arguments);
  return out;
}

// How many decimals leave three digits, the rounding included: 9.999 is 10.0 and not 10.00.
static int decimals_of(double value) { return value < 9.995 ? 2 : value < 99.95 ? 1 : 0; }

// Three digits and a unit of seven, each being `step` of the one before. The last unit takes what
// is left.
static ht_number scaled(double value, double step, const char* const units[7]) {
  int unit = 0;
  for (; unit < 6 && value >= step - 0.5; unit++) value /= step;
  return number("%.*f%s", decimals_of(value), value, units[unit]);
}

ht_number ht_format_count(double value) {
  static const char* const kUnits[] = {"", "k", "M", "G", "T", "P", "E"};
  if (isnan(value)) return number("-");
  // Three digits would not show the difference.
  bool is_whole = fabs(value - round(value)) < 0.005 && (value >= 0.995 || value == 0);
  // What fits five characters anyway is shown exactly.
  if (value < 99999.5 && (is_whole || value >= 999.5)) return number("%.0f", value);
  return scaled(value, 1000, kUnits);
}

ht_number ht_format_bytes(double bytes) {
  static const char* const kUnits[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
  if (isnan(bytes)) return number("-");
  return bytes < 1023.5 ? number("%.0f B", bytes) : scaled(bytes, 1024, kUnits);
}

ht_number ht_format_duration(double ns) {
  static const char* const kUnits[] = {" ns", " us", " ms", " s", "k s", "M s", "G s"};
  if (isnan(ns)) return number("-");
  return ns == 0 ? number("0") : scaled(ns, 1000, kUnits);
}

ht_number ht_format_percent(double share) {
  double percent = share * 100;
  if (isnan(share)) return number("-");
  if (percent > 0 && percent < 0.05) return number("<0.1%%");
  return number("%.*f%%", percent < 99.95 ? 1 : 0, percent);
}

ht_number ht_format_clock(double seconds) {
  if (isnan(seconds)) return number("-");
  unsigned long whole = (unsigned long)seconds;
  if (whole < 3600) return number("%lu:%02lu", whole / 60, whole % 60);
  return number("%lu:%02lu:%02lu", whole / 3600, whole / 60 % 60, whole % 60);
}
