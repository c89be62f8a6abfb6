// A row is found: .eh_frame_hdr searched, a common entry (CIE) and an entry (FDE) read, their
// programs run.

#include "hakmem/unwind/frame_row.h"

#include <string.h>

#if defined(__x86_64__)
enum { FRAME_POINTER = 6, STACK_POINTER = 7, RETURN = 16 };
#elif defined(__aarch64__)
enum { FRAME_POINTER = 29, STACK_POINTER = 31, RETURN = 30 };
#else
#error "the numbers of the registers are not known"
#endif

// ---- numbers ----

// What is left to read. Beyond the end all is 0, and `is_bad`.
typedef struct reader {
  const uint8_t* at;
  const uint8_t* end;
  bool is_bad;
} reader_t;

static uint64_t take(reader_t* in, size_t bytes) {
  uint64_t value = 0;
  if ((size_t)(in->end - in->at) < bytes) {
    in->is_bad = true;
    in->at = in->end;
    return 0;
  }
  memcpy(&value, in->at, bytes);  // both machines put the lowest byte first
  in->at += bytes;
  return value;
}

static void skip(reader_t* in, uint64_t bytes) {
  if (bytes > (size_t)(in->end - in->at)) in->is_bad = true;
  in->at = in->is_bad ? in->end : in->at + bytes;
}

static uint64_t take_unsigned(reader_t* in) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    uint64_t byte = take(in, 1);
    value |= (byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  in->is_bad = true;
  return 0;
}

static int64_t take_signed(reader_t* in) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64;) {
    uint64_t byte = take(in, 1);
    value |= (byte & 0x7f) << shift;
    shift += 7;
    if ((byte & 0x80) != 0) continue;
    if (shift < 64 && (byte & 0x40) != 0) value |= ~UINT64_C(0) << shift;
    return (int64_t)value;
  }
  in->is_bad = true;
  return 0;
}

// The encodings of addresses that linkers write (DW_EH_PE_).
enum { SDATA4 = 0x0b, PCREL_SDATA4 = 0x1b, DATAREL_SDATA4 = 0x3b, UDATA4 = 0x03, OMITTED = 0xff };

static int32_t signed_at(const uint8_t* at) {
  int32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

// ---- entries ----

typedef struct entry {
  reader_t common;   // the program of its common entry
  reader_t program;  // its own
  uintptr_t begin;   // of the code
  uint64_t code_unit;
  int64_t data_unit;
  bool is_known;  // false: it is complex
} entry_t;

// What begins an .eh_frame_hdr.
enum { VERSION, FRAME_ENCODING, COUNT_ENCODING, TABLE_ENCODING, HEAD };

static bool has_table(const uint8_t* header) {
  return header[VERSION] == 1 && header[FRAME_ENCODING] == PCREL_SDATA4 &&
         header[COUNT_ENCODING] == UDATA4 && header[TABLE_ENCODING] == DATAREL_SDATA4;
}

// The entry of the last function that begins at or before `pc`, by the sorted table; NULL: there is
// none.
static const uint8_t* search(const uint8_t* header, uintptr_t pc) {
  const uint8_t* table = header + HEAD + 8;
  uint32_t from = 0, to = (uint32_t)signed_at(header + HEAD + 4);
  int64_t wanted = (int64_t)(pc - (uintptr_t)header);
  while (from < to) {
    uint32_t middle = from + (to - from) / 2;
    if (signed_at(table + (size_t)middle * 8) <= wanted) {
      from = middle + 1;
    } else {
      to = middle;
    }
  }
  return from != 0 ? header + signed_at(table + (size_t)(from - 1) * 8 + 4) : NULL;
}

// What a length and the bytes behind it are; is_bad where it has more than 32 bits, or is 0.
static reader_t open_entry(const uint8_t* at) {
  uint32_t bytes;
  memcpy(&bytes, at, sizeof bytes);
  bool is_bad = bytes == 0 || bytes == UINT32_MAX;
  return (reader_t){at + 4, is_bad ? at + 4 : at + 4 + bytes, is_bad};
}

// The common entry: its units, its program, and how entries have their addresses.
static bool read_common(const uint8_t* at, entry_t* entry, bool* has_data) {
  reader_t in = open_entry(at);
  uint64_t id = take(&in, 4), version = take(&in, 1);
  const char* augmentation = (const char*)in.at;
  while (take(&in, 1) != 0) {
  }
  entry->code_unit = take_unsigned(&in);
  entry->data_unit = take_signed(&in);
  uint64_t return_register = version == 1 ? take(&in, 1) : take_unsigned(&in);
  if (in.is_bad || id != 0 || return_register != RETURN || augmentation[0] != 'z') return false;
  *has_data = true;
  uint64_t bytes = take_unsigned(&in);
  reader_t data = {in.at, in.at + bytes, false};
  skip(&in, bytes);
  for (const char* a = augmentation + 1; *a != '\0'; a++) {
    if (*a == 'R') {
      if (take(&data, 1) != PCREL_SDATA4) return false;
    } else if (*a == 'L') {
      (void)take(&data, 1);
    } else if (*a == 'P') {
      uint64_t encoding = take(&data, 1) & 0x0f;
      skip(&data, encoding == SDATA4 || encoding == UDATA4 ? 4 : 8);
    } else {
      return false;  // 'S': the frame of a signal; and what is not known
    }
  }
  entry->common = in;
  return !in.is_bad && !data.is_bad;
}

// False: there is none for `pc`.
static bool read_entry(const uint8_t* at, uintptr_t pc, entry_t* entry) {
  reader_t in = open_entry(at);
  const uint8_t* back = in.at;
  uint32_t distance = (uint32_t)take(&in, 4);
  const uint8_t* code = in.at;
  entry->begin = (uintptr_t)code + (uintptr_t)(intptr_t)(int32_t)take(&in, 4);
  uint64_t bytes = take(&in, 4);
  if (in.is_bad || pc < entry->begin || pc - entry->begin >= bytes) return false;
  bool has_data = false;
  entry->is_known = read_common(back - distance, entry, &has_data);
  if (has_data) skip(&in, take_unsigned(&in));
  entry->program = in;
  entry->is_known &= !in.is_bad;
  return true;
}

// ---- programs ----

// Of a register: what is known of where it was saved.
typedef enum rule_kind { SAME, SAVED, LOST, OTHER } rule_kind_t;
typedef struct rule {
  rule_kind_t kind;
  int64_t offset;  // from the CFA
} rule_t;

typedef struct row {
  uint64_t cfa_register;
  int64_t cfa_offset;
  bool is_cfa_complex;
  rule_t frame_pointer, caller;
} row_t;

#define MAX_REMEMBERED 8

typedef struct machine {
  const entry_t* entry;
  row_t row, initial, remembered[MAX_REMEMBERED];
  unsigned n_remembered;
  uintptr_t code;  // up to where rows have been built
  uintptr_t pc;
  bool is_bad;
} machine_t;

static rule_t* rule_of(row_t* row, uint64_t reg) {
  if (reg == FRAME_POINTER) return &row->frame_pointer;
  return reg == RETURN ? &row->caller : NULL;
}

static void set_rule(machine_t* m, uint64_t reg, rule_kind_t kind, int64_t offset) {
  rule_t* rule = rule_of(&m->row, reg);
  if (rule != NULL) *rule = (rule_t){kind, offset};
}

static void restore(machine_t* m, uint64_t reg) {
  rule_t *rule = rule_of(&m->row, reg), *initial = rule_of(&m->initial, reg);
  if (rule != NULL) *rule = *initial;
}

static void remember(machine_t* m) {
  if (m->n_remembered == MAX_REMEMBERED) {
    m->is_bad = true;
  } else {
    m->remembered[m->n_remembered++] = m->row;
  }
}

static void recall(machine_t* m) {
  if (m->n_remembered == 0) {
    m->is_bad = true;
  } else {
    m->row = m->remembered[--m->n_remembered];
  }
}

static void set_cfa(machine_t* m, uint64_t reg, int64_t offset) {
  m->row.cfa_register = reg;
  m->row.cfa_offset = offset;
  m->row.is_cfa_complex = false;
}

// Instructions, by DWARF's names of them (DW_CFA_).
enum {
  NOP = 0x00,
  ADVANCE_LOC1 = 0x02,
  ADVANCE_LOC2 = 0x03,
  ADVANCE_LOC4 = 0x04,
  OFFSET_EXTENDED = 0x05,
  RESTORE_EXTENDED = 0x06,
  UNDEFINED = 0x07,
  SAME_VALUE = 0x08,
  REGISTER = 0x09,
  REMEMBER_STATE = 0x0a,
  RESTORE_STATE = 0x0b,
  DEF_CFA = 0x0c,
  DEF_CFA_REGISTER = 0x0d,
  DEF_CFA_OFFSET = 0x0e,
  DEF_CFA_EXPRESSION = 0x0f,
  EXPRESSION = 0x10,
  OFFSET_EXTENDED_SF = 0x11,
  DEF_CFA_SF = 0x12,
  DEF_CFA_OFFSET_SF = 0x13,
  VAL_OFFSET = 0x14,
  VAL_OFFSET_SF = 0x15,
  VAL_EXPRESSION = 0x16,
  GNU_ARGS_SIZE = 0x2e,
  ADVANCE_LOC = 0x40,  // these three have their first operand in the low six bits
  OFFSET = 0x80,
  RESTORE = 0xc0,
};

// Those that say where a register was saved. False: `op` is another.
static bool run_rule(machine_t* m, reader_t* in, unsigned op) {
  int64_t unit = m->entry->data_unit;
  uint64_t reg;
  switch (op) {
    case OFFSET_EXTENDED:
      reg = take_unsigned(in);
      set_rule(m, reg, SAVED, (int64_t)take_unsigned(in) * unit);
      return true;
    case OFFSET_EXTENDED_SF:
      reg = take_unsigned(in);
      set_rule(m, reg, SAVED, take_signed(in) * unit);
      return true;
    case RESTORE_EXTENDED:
      restore(m, take_unsigned(in));
      return true;
    case UNDEFINED:
      set_rule(m, take_unsigned(in), LOST, 0);
      return true;
    case SAME_VALUE:
      set_rule(m, take_unsigned(in), SAME, 0);
      return true;
    case REGISTER:
    case VAL_OFFSET:
    case VAL_OFFSET_SF:
      set_rule(m, take_unsigned(in), OTHER, 0);
      (void)take_unsigned(in);
      return true;
    case EXPRESSION:
    case VAL_EXPRESSION:
      set_rule(m, take_unsigned(in), OTHER, 0);
      skip(in, take_unsigned(in));
      return true;
    default:
      return false;
  }
}

// Those that say where the CFA is, and the rest.
static void run_other(machine_t* m, reader_t* in, unsigned op) {
  int64_t unit = m->entry->data_unit;
  uint64_t reg;
  switch (op) {
    case NOP:
      break;
    case REMEMBER_STATE:
      remember(m);
      break;
    case RESTORE_STATE:
      recall(m);
      break;
    case DEF_CFA:
      reg = take_unsigned(in);
      set_cfa(m, reg, (int64_t)take_unsigned(in));
      break;
    case DEF_CFA_SF:
      reg = take_unsigned(in);
      set_cfa(m, reg, take_signed(in) * unit);
      break;
    case DEF_CFA_REGISTER:
      set_cfa(m, take_unsigned(in), m->row.cfa_offset);
      break;
    case DEF_CFA_OFFSET:
      set_cfa(m, m->row.cfa_register, (int64_t)take_unsigned(in));
      break;
    case DEF_CFA_OFFSET_SF:
      set_cfa(m, m->row.cfa_register, take_signed(in) * unit);
      break;
    case DEF_CFA_EXPRESSION:
      m->row.is_cfa_complex = true;
      skip(in, take_unsigned(in));
      break;
    case GNU_ARGS_SIZE:
      (void)take_unsigned(in);
      break;
    default:
      m->is_bad = true;
  }
}

// Runs a program until the row of the program counter is complete.
static void run(machine_t* m, reader_t in) {
  while (in.at < in.end && !in.is_bad && !m->is_bad) {
    unsigned op = (unsigned)take(&in, 1), low = op & 0x3f;
    uint64_t advance = 0;
    if ((op & 0xc0) == ADVANCE_LOC) {
      advance = low;
    } else if ((op & 0xc0) == OFFSET) {
      set_rule(m, low, SAVED, (int64_t)take_unsigned(&in) * m->entry->data_unit);
    } else if ((op & 0xc0) == RESTORE) {
      restore(m, low);
    } else if (op >= ADVANCE_LOC1 && op <= ADVANCE_LOC4) {
      advance = take(&in, op == ADVANCE_LOC1 ? 1 : op == ADVANCE_LOC2 ? 2 : 4);
    } else if (!run_rule(m, &in, op)) {
      run_other(m, &in, op);
    }
    m->code += advance * m->entry->code_unit;
    if (m->code > m->pc) return;
  }
  m->is_bad |= in.is_bad;
}

// How far below the CFA a register was saved, as the row has it. False: that cannot be said.
static bool below_of(const rule_t* rule, uint16_t* below) {
  *below = 0;
  if (rule->kind == SAME) return true;
  if (rule->kind != SAVED || rule->offset >= 0 || rule->offset < -HAK_ROW_FARTHEST) return false;
  *below = (uint16_t)-rule->offset;
  return *below % 8 == 0;
}

static hak_frame_row_t pack(const row_t* row) {
  hak_frame_row_t packed = {.kind = HAK_ROW_COMPLEX};
  bool is_from_frame = row->cfa_register == FRAME_POINTER;
  if (row->caller.kind == LOST) {
    packed.kind = HAK_ROW_LAST;
    return packed;
  }
  if (row->is_cfa_complex || (!is_from_frame && row->cfa_register != STACK_POINTER)) return packed;
  if (row->cfa_offset < 0 || row->cfa_offset > HAK_ROW_FARTHEST) return packed;
  if (row->cfa_offset % 8 != 0) return packed;
  if (!below_of(&row->frame_pointer, &packed.frame_pointer_below)) return packed;
  if (!below_of(&row->caller, &packed.return_below)) return packed;
  packed.cfa_from_frame_pointer = is_from_frame;
  packed.cfa_offset = (uint16_t)row->cfa_offset;
  packed.kind = HAK_ROW_SIMPLE;
  return packed;
}

hak_frame_row_t hak_frame_row_find(const uint8_t* header, uintptr_t pc) {
  if (!has_table(header)) return (hak_frame_row_t){.kind = HAK_ROW_COMPLEX};
  const uint8_t* at = search(header, pc);
  entry_t entry;
  if (at == NULL || !read_entry(at, pc, &entry)) return (hak_frame_row_t){.kind = HAK_ROW_LAST};
  if (!entry.is_known) return (hak_frame_row_t){.kind = HAK_ROW_COMPLEX};
  machine_t machine = {.entry = &entry, .code = entry.begin, .pc = UINTPTR_MAX};
  run(&machine, entry.common);
  machine.initial = machine.row;
  machine.pc = pc;
  run(&machine, entry.program);
  if (machine.is_bad) return (hak_frame_row_t){.kind = HAK_ROW_COMPLEX};
  return pack(&machine.row);
}
