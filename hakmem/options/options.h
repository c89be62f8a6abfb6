// Options: read from the environment once, from one table (options.def).
//
// A value that is malformed or out of range is refused with one line that names the option, the
// value and the range; the default is used then. A variable HAKMEM_... that is none of them is
// named in one line, too: it may be a misspelt one. A process that runs with more rights than its
// caller (AT_SECURE: setuid and the like) ignores the environment. getenv is not used: it may be
// interposed by code that allocates.

#ifndef HAKMEM_OPTIONS_H_
#define HAKMEM_OPTIONS_H_

#include "hakmem/base/base.h"
#include "hakmem/platform/line.h"

typedef enum hak_choice { HAK_CHOICE_AUTO, HAK_CHOICE_ALWAYS, HAK_CHOICE_NEVER } hak_choice_t;

typedef enum hak_option {
#define HAK_OPTION(id, name, type, def, min, max, help) HAK_OPTION_##id,
#include "hakmem/options/options.def"
#undef HAK_OPTION
  HAK_N_OPTIONS,
} hak_option_t;

// Reads the environment. What descriptor 2 is now is stderr from here on, for what there is to say
// (standard_error.h). Called once, before the first memory is reserved; until then, and without
// it, every option has its default.
void hak_options_load(void);

// The value of a BYTES, MS, FLAG or CHOICE option.
int64_t hak_option_number(hak_option_t option);

// The value of a TEXT option; NULL when it is not set.
const char* hak_option_text(hak_option_t option);

// Parses and sets one option as the environment would. False, with the reason on stderr, when the
// value is refused. For hak_options_load and tests.
hak_cold bool hak_option_set(hak_option_t option, const char* value);

// Begins the line on stderr that says what is wrong with an option's value: "HAKMEM_NAME=VALUE ".
void hak_option_begin_line(hak_option_t option, const char* value, hak_line_t* line);

// Says all of it, of a TEXT option that its user does not understand, as it is set.
hak_cold void hak_option_refuse(hak_option_t option, const char* why);

// Calls `emit` with each line of the table of options in Markdown: what docs/OPTIONS.md holds.
void hak_options_document(void (*emit)(const char* line, void* context), void* context);

// Parses a number of bytes or milliseconds: decimal digits and a unit. False when it is malformed
// or does not fit. `text_end` is where the text ends.
bool hak_parse_bytes(const char* text, const char* text_end, int64_t* value);
bool hak_parse_ms(const char* text, const char* text_end, int64_t* value);

#endif  // HAKMEM_OPTIONS_H_
