// The proof of an allocator. It is a symbol only that allocator has, and that lies in the same
// object (program or shared library) as the process's malloc: a library that is merely loaded, but
// does not serve malloc, proves nothing.

#define _GNU_SOURCE  // dl_iterate_phdr

#include "workloads/harness/identity.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Present when the program itself was linked with hakmem: a program's own symbols need not be
// among those that the dynamic linker sees.
extern const char* hak_version(void) __attribute__((weak));

// The object that holds an address.
typedef struct object {
  uintptr_t address;  // in: the address looked for
  bool found;
  uintptr_t base;
  const char* name;  // empty for the program itself
  const ElfW(Phdr) * headers;
  unsigned header_count;
} object;

static bool object_contains(const object* obj, uintptr_t address) {
  for (unsigned i = 0; i < obj->header_count; i++) {
    const ElfW(Phdr)* header = &obj->headers[i];
    uintptr_t start = obj->base + header->p_vaddr;
    if (header->p_type == PT_LOAD && address - start < header->p_memsz) return true;
  }
  return false;
}

static int find_object(struct dl_phdr_info* info, size_t size, void* data) {
  object* wanted = data;
  (void)size;
  object candidate = {
      .address = wanted->address,
      .found = true,
      .base = info->dlpi_addr,
      .name = info->dlpi_name,
      .headers = info->dlpi_phdr,
      .header_count = info->dlpi_phnum,
  };
  if (!object_contains(&candidate, wanted->address)) return 0;
  *wanted = candidate;
  return 1;
}

// Writes the GNU build id among the notes of one segment, if it is there.
static bool read_build_id(const unsigned char* note, size_t length, size_t alignment, char* hex,
                          size_t hex_bytes) {
  size_t mask = (alignment == 8 ? 8 : 4) - 1;
  while (length >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) header;
    memcpy(&header, note, sizeof(header));
    size_t name_at = sizeof(header);
    size_t bytes_at = (name_at + header.n_namesz + mask) & ~mask;
    size_t next_at = (bytes_at + header.n_descsz + mask) & ~mask;
    if (bytes_at + header.n_descsz > length) return false;
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
        memcmp(note + name_at, "GNU", 4) == 0 && header.n_descsz * 2u + 1 <= hex_bytes) {
      for (size_t i = 0; i < header.n_descsz; i++) sprintf(hex + 2 * i, "%02x", note[bytes_at + i]);
      return true;
    }
    if (next_at >= length) return false;
    note += next_at;
    length -= next_at;
  }
  return false;
}

static void find_build_id(const object* obj, wl_identity* identity) {
  for (unsigned i = 0; i < obj->header_count; i++) {
    const ElfW(Phdr)* header = &obj->headers[i];
    if (header->p_type != PT_NOTE) continue;
    const unsigned char* notes = (const unsigned char*)(obj->base + header->p_vaddr);
    if (read_build_id(notes, header->p_memsz, header->p_align, identity->build_id,
                      sizeof(identity->build_id))) {
      return;
    }
  }
}

// ---- symbols ----

typedef struct symbol_table {
  const ElfW(Sym) * symbols;
  size_t count;
  const char* names;
} symbol_table;

// The hash table of GNU ld does not say how many symbols there are: the last chain ends with them.
static size_t count_hashed(const uint32_t* hash) {
  const uint32_t bucket_count = hash[0];
  const uint32_t first_hashed = hash[1];
  const uint32_t* buckets = hash + 4 + hash[2] * (sizeof(ElfW(Addr)) / sizeof(uint32_t));
  const uint32_t* chains = buckets + bucket_count;
  uint32_t last = 0;
  for (uint32_t i = 0; i < bucket_count; i++) {
    if (buckets[i] > last) last = buckets[i];
  }
  if (last < first_hashed) return first_hashed;
  while ((chains[last - first_hashed] & 1) == 0) last++;
  return last + 1;
}

static symbol_table read_symbols(const object* obj) {
  symbol_table table = {0};
  const ElfW(Dyn)* entry = NULL;
  for (unsigned i = 0; i < obj->header_count; i++) {
    if (obj->headers[i].p_type == PT_DYNAMIC) entry = (void*)(obj->base + obj->headers[i].p_vaddr);
  }
  for (; entry != NULL && entry->d_tag != DT_NULL; entry++) {
    // The C library has made addresses of most of these.
    uintptr_t at =
        entry->d_un.d_ptr < obj->base ? obj->base + entry->d_un.d_ptr : entry->d_un.d_ptr;
    if (entry->d_tag == DT_SYMTAB) table.symbols = (void*)at;
    if (entry->d_tag == DT_STRTAB) table.names = (void*)at;
    if (entry->d_tag == DT_HASH) table.count = ((const uint32_t*)at)[1];
    if (entry->d_tag == DT_GNU_HASH) table.count = count_hashed((const uint32_t*)at);
  }
  if (table.symbols == NULL || table.names == NULL) table.count = 0;
  return table;
}

// What an object defines under this name, or NULL. (dlsym would search all objects, and it calls
// malloc when it finds nothing.)
static void* find_symbol(const object* obj, const char* name) {
  const symbol_table table = read_symbols(obj);
  for (size_t i = 0; i < table.count; i++) {
    const ElfW(Sym)* symbol = &table.symbols[i];
    if (symbol->st_shndx == SHN_UNDEF || strcmp(table.names + symbol->st_name, name) != 0) continue;
    return (void*)(obj->base + symbol->st_value);
  }
  return NULL;
}

// Each reads a version through the symbol that proved its allocator. Functions come as object
// pointers, which POSIX allows to convert.
typedef void (*version_reader)(void* symbol, char* version, size_t bytes);

static void text_version(void* symbol, char* version, size_t bytes) {
  const char* (*function)(void);
  memcpy(&function, &symbol, sizeof(function));
  snprintf(version, bytes, "%s", function());
}

// mimalloc counts 209 for 2.0.9 and, with two digits for each part, 30403 for 3.4.3.
static void mimalloc_version(void* symbol, char* version, size_t bytes) {
  int (*function)(void);
  memcpy(&function, &symbol, sizeof(function));
  int number = function();
  int base = number < 1000 ? 10 : 100;
  snprintf(version, bytes, "%d.%d.%d", number / (base * base), number / base % base, number % base);
}

static void jemalloc_version(void* symbol, char* version, size_t bytes) {
  int (*mallctl)(const char*, void*, size_t*, void*, size_t);
  const char* text = NULL;
  size_t length = sizeof(text);
  memcpy(&mallctl, &symbol, sizeof(mallctl));
  if (mallctl("version", &text, &length, NULL, 0) == 0) snprintf(version, bytes, "%s", text);
}

static void tcmalloc_version(void* symbol, char* version, size_t bytes) {
  const char* (*function)(int*, int*, const char**);
  int major = 0;
  int minor = 0;
  const char* patch = "";
  memcpy(&function, &symbol, sizeof(function));
  function(&major, &minor, &patch);
  snprintf(version, bytes, "%d.%d%s", major, minor, patch);
}

// In order: snmalloc has a mallctl too, and every process has the C library's version symbol,
// though only one whose malloc is the C library's has it in the same object.
static const struct {
  const char* name;
  const char* symbol;
  version_reader read_version;  // NULL: the allocator does not tell
} kProofs[] = {
    {"hakmem", "hak_version", text_version},
    {"mimalloc", "mi_version", mimalloc_version},
    {"tcmalloc", "tc_version", tcmalloc_version},
    {"tcmalloc", "MallocExtension_Internal_GetNumericProperty", NULL},
    {"snmalloc", "get_malloc_info_v1", NULL},
    {"jemalloc", "mallctl", jemalloc_version},
    {"rpmalloc", "rpmalloc", NULL},
    {"glibc", "gnu_get_libc_version", text_version},
};

void wl_identity_read(wl_identity* identity) {
  *identity = (wl_identity){.name = "unknown"};
  void* (*volatile function)(size_t) = malloc;
  object obj = {.address = (uintptr_t)function};
  dl_iterate_phdr(find_object, &obj);
  if (!obj.found) return;

  const char* file = obj.name[0] == '\0' ? "/proc/self/exe" : obj.name;
  if (realpath(file, identity->path) == NULL) identity->path[0] = '\0';
  find_build_id(&obj, identity);

  if (hak_version != NULL && object_contains(&obj, (uintptr_t)hak_version)) {
    identity->name = "hakmem";
    snprintf(identity->version, sizeof(identity->version), "%s", hak_version());
    return;
  }
  for (size_t i = 0; i < sizeof(kProofs) / sizeof(kProofs[0]); i++) {
    void* symbol = find_symbol(&obj, kProofs[i].symbol);
    if (symbol == NULL) continue;
    identity->name = kProofs[i].name;
    if (kProofs[i].read_version != NULL) {
      kProofs[i].read_version(symbol, identity->version, sizeof(identity->version));
    }
    return;
  }
}
