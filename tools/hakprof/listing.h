// A list of what holds memory: rows of figures beside a function or a stack, as text or as JSON.

#ifndef HAKMEM_TOOLS_HAKPROF_LISTING_H_
#define HAKMEM_TOOLS_HAKPROF_LISTING_H_

#include "tools/hakprof/profile.h"

enum { PF_VALUES_MAX = 6 };

typedef struct pf_row {
  const pf_frame** frames;  // innermost first; of a function or tree its own
  size_t frame_count;
  size_t depth;                  // in a tree: how far its name stands to the right
  double values[PF_VALUES_MAX];  // the first is what it is sorted by, then the second
  double variance;               // of the first; NaN: not known
  size_t seen;                   // in which sample last, from 1: for sums that count it once
} pf_row;

typedef enum pf_column_kind {
  PF_AMOUNT,  // the value, in the list's unit
  PF_COUNT,   // the value, a number
  PF_CHANGE,  // the value with its sign, and ~ where it is less than two standard errors
  PF_SHARE,   // the value as a part of the list's total
  PF_PART,    // the value as a part of the row's first
  PF_ERROR,   // the standard error of the first, as a part of it
} pf_column_kind;

typedef struct pf_column {
  const char* header;
  const char* key;  // in JSON; NULL: not there
  pf_column_kind kind;
  size_t value;
} pf_column;

typedef struct pf_listing {
  const char* command;
  const pf_profile* profile;
  const pf_profile* base;  // what it is compared with; NULL: nothing
  const char* value;       // "inuse_space"
  const char* unit;
  const pf_column* columns;
  size_t column_count;
  hp_map* rows;      // pf_row by any key
  double total;      // of the first value, over all
  double variance;   // of the total
  double least;      // rows whose first value is a smaller part of the total are left out of text,
  double least_of;   // or of this, where it is larger: of a difference, what was before
  bool has_callers;  // who are listed for their second value, from ten times that on
  bool is_ordered;   // as it is; else it is sorted by the size of the values
} pf_listing;

void pf_listing_text(const pf_listing* listing, size_t columns, FILE* text);
void pf_listing_json(const pf_listing* listing, FILE* json);

// "12.3 MiB" of bytes, "1234" of anything else; "unknown" for NaN.
const char* pf_amount(double value, const char* unit);

// The text, with "…" in its middle where it is wider: long names often differ at their ends. At its
// end where there is little room.
const char* pf_fit(const char* text, size_t columns);

#endif  // HAKMEM_TOOLS_HAKPROF_LISTING_H_
