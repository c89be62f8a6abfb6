// /proc/self/maps, and the notes of the files in it.

#include "hakmem/profile/modules.h"

#include <elf.h>
#include <link.h>
#include <string.h>

#include "hakmem/base/config.h"
#include "hakmem/page_map/meta.h"
#include "hakmem/platform/file.h"
#include "hakmem/platform/platform.h"
#include "hakmem/unwind/unwind.h"

#define LINE_BYTES (4096 + 128)  // a path, and what stands before it
#define MAX_HEADERS 64
#define NOTE_BYTES 1024

typedef struct table {
  hak_module_t modules[HAK_PROFILE_MODULES];
  size_t n;
  char names[HAK_PROFILE_NAME_BYTES];
  size_t name_bytes;
  char text[2 * LINE_BYTES];
} table_t;

static table_t* table;  // lock:DUMP

// ---- a line of maps: begin-end rwxp offset device inode path ----

static uint64_t take_hex(const char** at) {
  uint64_t value = 0;
  for (;; ++*at) {
    char c = **at;
    unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
    if (digit > 15) return value;
    value = value * 16 + digit;
  }
}

static const char* skip_fields(const char* at, unsigned n) {
  for (; n != 0; n--) {
    while (*at != '\0' && *at != ' ') at++;
    while (*at == ' ') at++;
  }
  return at;
}

static const char* keep_name(const char* name) {
  size_t bytes = strlen(name) + 1;
  if (bytes > HAK_PROFILE_NAME_BYTES - table->name_bytes) return NULL;
  char* kept = memcpy(table->names + table->name_bytes, name, bytes);
  table->name_bytes += bytes;
  return kept;
}

// ---- the file ----

static void take_build_id(hak_module_t* module, const char* notes, size_t bytes) {
  for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= bytes;) {
    ElfW(Nhdr) note;
    memcpy(&note, notes + at, sizeof note);
    size_t name = at + sizeof note, content = name + hak_round_up(note.n_namesz, 4);
    size_t end = content + hak_round_up(note.n_descsz, 4);
    if (end > bytes || end < at) return;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        memcmp(notes + name, "GNU", 4) == 0) {
      module->build_id_bytes = (unsigned)hak_min_size(note.n_descsz, HAK_BUILD_ID_BYTES);
      memcpy(module->build_id, notes + content, module->build_id_bytes);
      return;
    }
    at = end;
  }
}

// Where the file's first segment is loaded tells it for all. Of what is not known to the dynamic
// linker, a static program or a file that has been closed, the segment that is mapped here does,
// if no other of code shares a page with it.
static void take_bias(hak_module_t* module, const ElfW(Phdr) * headers, size_t n) {
  uintptr_t object = hak_unwind_object(module->begin);
  for (size_t i = 0; i < n; i++) {
    const ElfW(Phdr)* header = &headers[i];
    if (header->p_type != PT_LOAD) continue;
    if (object != 0) {
      module->bias = object - hak_round_down(header->p_vaddr, hak_platform_os_page_bytes());
      return;
    }
    if ((header->p_flags & PF_X) != 0 &&
        module->file_offset < header->p_offset + header->p_filesz &&
        module->file_offset + (module->end - module->begin) > header->p_offset) {
      module->bias = module->begin - module->file_offset + header->p_offset - header->p_vaddr;
    }
  }
}

static void read_headers(hak_module_t* module, int file) {
  ElfW(Ehdr) elf;
  ElfW(Phdr) headers[MAX_HEADERS];
  if (hak_file_read(file, 0, &elf, sizeof elf) != sizeof elf) return;
  if (memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_phentsize != sizeof headers[0]) return;
  size_t n = hak_min_size(elf.e_phnum, MAX_HEADERS);
  n = hak_file_read(file, elf.e_phoff, headers, n * sizeof headers[0]) / sizeof headers[0];
  for (size_t i = 0; i < n; i++) {
    const ElfW(Phdr)* header = &headers[i];
    if (header->p_type != PT_NOTE) continue;
    char notes[NOTE_BYTES];
    size_t bytes = hak_min_size(header->p_filesz, sizeof notes);
    take_build_id(module, notes, hak_file_read(file, header->p_offset, notes, bytes));
  }
  take_bias(module, headers, n);
}

static void add_line(const char* line) {
  if (table->n == HAK_PROFILE_MODULES) return;
  hak_module_t module = {0};
  const char* at = line;
  module.begin = take_hex(&at);
  at++;
  module.end = take_hex(&at);
  if (strlen(at) < 5 || at[3] != 'x') return;
  at = skip_fields(at, 2);
  module.file_offset = take_hex(&at);
  const char* name = skip_fields(at, 3);
  if (*name == '\0' || (module.name = keep_name(name)) == NULL) return;
  module.bias = module.begin - module.file_offset;
  int file = *name == '/' ? hak_file_open(name) : -1;
  if (file >= 0) read_headers(&module, file);
  if (file >= 0) hak_file_close(file);
  table->modules[table->n++] = module;
}

bool hak_modules_read(void) {
  if (table == NULL) table = hak_meta_alloc(sizeof *table, HAK_CACHE_LINE);
  if (table == NULL) return false;
  table->n = table->name_bytes = 0;
  int file = hak_file_open("/proc/self/maps");
  if (file < 0) return true;
  size_t had = 0;
  uint64_t offset = 0;
  for (size_t got; (got = hak_file_read(file, offset, table->text + had, LINE_BYTES)) != 0;) {
    offset += got;
    had += got;
    char *begin = table->text, *end;
    while ((end = memchr(begin, '\n', had)) != NULL) {
      *end = '\0';
      add_line(begin);
      had -= (size_t)(end + 1 - begin);
      begin = end + 1;
    }
    if (had >= LINE_BYTES) break;  // no line of maps
    memmove(table->text, begin, had);
  }
  hak_file_close(file);
  return true;
}

size_t hak_modules_count(void) { return table != NULL ? table->n : 0; }

const hak_module_t* hak_module(size_t number) { return &table->modules[number - 1]; }

size_t hak_modules_find(uintptr_t address) {
  size_t from = 0, to = hak_modules_count();
  while (from < to) {
    size_t middle = (from + to) / 2;
    if (table->modules[middle].end <= address) {
      from = middle + 1;
    } else {
      to = middle;
    }
  }
  bool is_in = from < hak_modules_count() && table->modules[from].begin <= address;
  return is_in ? from + 1 : 0;
}

const char* hak_module_build_id(const hak_module_t* module, char hex[HAK_BUILD_ID_HEX_BYTES]) {
  size_t n = module->build_id_bytes;
  for (size_t i = 0; i < n; i++) {
    hex[2 * i] = "0123456789abcdef"[module->build_id[i] >> 4];
    hex[2 * i + 1] = "0123456789abcdef"[module->build_id[i] & 15];
  }
  hex[2 * n] = '\0';
  return hex;
}
