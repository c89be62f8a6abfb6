// Files of the right build, and what libdw knows of an address in them.

#include "tools/hakprof/symbols.h"

#include <dwarf.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <libiberty/demangle.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct session {
  pf_profile* profile;
  const char* folder;
  Dwfl* dwfl;
} session_t;

// What is known of a mapping's file: where it lies, and why it has no names.
typedef struct file {
  bool is_tried;
  Dwfl_Module* module;  // NULL: it is not to be had
  uint64_t bias;        // of addresses to those in the file's own terms
} file_t;

// ---- files ----

static const char* build_id_of(Elf* elf) {
  const void* bits;
  ssize_t size = dwelf_elf_gnu_build_id(elf, &bits);
  const char* hex = "";
  for (ssize_t i = 0; i < size; i++) hex = hp_format("%s%02x", hex, ((const uint8_t*)bits)[i]);
  return hex;
}

// Where the mapping's segment is in the file: the distance of addresses. A file of debugging
// information alone has other offsets: there it is the first that is code.
static bool find_bias(Elf* elf, const pf_mapping* mapping, uint64_t* bias) {
  enum { PAGE = 4096 };
  size_t count = 0;
  bool is_found = false;
  elf_getphdrnum(elf, &count);
  for (size_t i = 0; i < count; i++) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf, (int)i, &segment) == NULL || segment.p_type != PT_LOAD) continue;
    if ((segment.p_flags & PF_X) == 0) continue;
    bool is_it = mapping->offset < segment.p_offset + segment.p_filesz &&
                 mapping->offset + (mapping->limit - mapping->start) > segment.p_offset;
    if (is_found && !is_it) continue;
    uint64_t page = is_it ? segment.p_vaddr - segment.p_offset + mapping->offset
                          : segment.p_vaddr / PAGE * PAGE;
    *bias = mapping->start - page;
    is_found = true;
    if (is_it) break;
  }
  return is_found;
}

// Takes the file if it is the one that was mapped; *why says why not.
static bool take_file(session_t* self, const pf_mapping* mapping, const char* path, file_t* file,
                      const char** why) {
  struct stat status;
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return false;
  bool is_regular = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
  Elf* elf = is_regular ? elf_begin(descriptor, ELF_C_READ_MMAP, NULL) : NULL;
  bool is_it = elf != NULL && elf_kind(elf) == ELF_K_ELF;
  const char* id = is_it ? build_id_of(elf) : "";
  if (!is_it) {
    *why = hp_format("%s is no ELF file", path);
  } else if (strcmp(id, mapping->build_id) != 0) {
    *why = hp_format("%s is another build (its id is %s, was %s)", path,
                     id[0] != '\0' ? id : "unknown",
                     mapping->build_id[0] != '\0' ? mapping->build_id : "unknown");
    is_it = false;
  } else if (id[0] == '\0' && !((double)status.st_mtime <= self->profile->time_s)) {
    *why = hp_format("%s has no build id, and was written after the profile", path);
    is_it = false;
  }
  is_it = is_it && find_bias(elf, mapping, &file->bias);
  if (is_it) {
    file->module =
        dwfl_report_elf(self->dwfl, pf_base_name(mapping->path), path, -1, file->bias, true);
  }
  if (elf != NULL) elf_end(elf);
  close(descriptor);
  return file->module != NULL;
}

static void find_file(session_t* self, const pf_mapping* mapping, file_t* file) {
  const char* const folders[] = {self->folder, "/usr/lib/debug"};
  const char* why = hp_format("%s is not there", mapping->path);
  const char* id = mapping->build_id;
  bool is_found = mapping->path[0] == '/' && take_file(self, mapping, mapping->path, file, &why);
  for (size_t i = 0; i < 2 && !is_found; i++) {
    if (folders[i] == NULL) continue;
    const char* name = pf_base_name(mapping->path);
    is_found = take_file(self, mapping, hp_format("%s/%s", folders[i], name), file, &why);
    if (is_found || strlen(id) < 3 || strchr(id, '/') != NULL) continue;
    name = hp_format("%s/.build-id/%.2s/%s.debug", folders[i], id, id + 2);
    is_found = take_file(self, mapping, name, file, &why);
  }
  // What has no path is the kernel's.
  if (!is_found && mapping->path[0] == '/') {
    fprintf(stderr, "hakprof: note: no names for addresses in %s: %s\n",
            pf_base_name(mapping->path), why);
  }
}

// ---- names ----

static const char* readable(const char* symbol) {
  char* demangled = cplus_demangle(symbol, DMGL_AUTO);
  const char* name = demangled != NULL ? demangled : symbol;
  name = hp_clean(name, strlen(name));
  free(demangled);
  return name;
}

static const char* name_of(Dwarf_Die* die) {
  Dwarf_Attribute attribute;
  const char* name = NULL;
  if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) != NULL ||
      dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute) != NULL) {
    name = dwarf_formstring(&attribute);
  }
  if (name == NULL) name = dwarf_diename(die);
  return name != NULL ? readable(name) : NULL;
}

static const char* place_of(const char* file, int line) {
  if (file == NULL || line <= 0) return "";
  return hp_format("%s:%d", pf_base_name(hp_clean(file, strlen(file))), line);
}

// Where the inlined function is called.
static const char* call_place(Dwarf_Die* die) {
  Dwarf_Attribute attribute;
  Dwarf_Die unit;
  Dwarf_Files* files;
  Dwarf_Word file, line;
  bool has_both = dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attribute), &file) == 0 &&
                  dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attribute), &line) == 0 &&
                  dwarf_diecu(die, &unit, NULL, NULL) != NULL &&
                  dwarf_getsrcfiles(&unit, &files, NULL) == 0;
  return has_both ? place_of(dwarf_filesrc(files, file, NULL, NULL), (int)line) : "";
}

static void add_frame(session_t* self, pf_location* location, const char* name, const char* place,
                      bool is_inlined) {
  const char* module = location->mapping != NULL ? pf_base_name(location->mapping->path) : "";
  *hp_push(location->frames, location->frame_count) =
      (pf_frame){pf_function_named(self->profile, name, module), place, is_inlined};
}

// The unit whose code is at the address. Compilers other than gcc write no table of these.
static Dwarf_Die* find_unit(Dwfl_Module* module, uint64_t address, Dwarf_Addr* bias) {
  Dwarf_Die* unit = dwfl_module_addrdie(module, address, bias);
  if (unit != NULL) return unit;
  while ((unit = dwfl_module_nextcu(module, unit, bias)) != NULL) {
    if (dwarf_haspc(unit, address - *bias) > 0) break;
  }
  return unit;
}

// Adds the functions below an entry that have the address, innermost first, which is at `place`.
// Returns the place in the entry itself. (dwarf_getscopes would not look into namespaces.)
static const char* add_functions(session_t* self, pf_location* location, Dwarf_Die* parent,
                                 uint64_t address, const char* place) {
  Dwarf_Die die;
  for (int left = dwarf_child(parent, &die); left == 0; left = dwarf_siblingof(&die, &die)) {
    int tag = dwarf_tag(&die);
    bool is_inlined = tag == DW_TAG_inlined_subroutine;
    bool is_function = is_inlined || tag == DW_TAG_subprogram;
    bool is_block = tag == DW_TAG_lexical_block || tag == DW_TAG_try_block;
    bool is_scope = tag == DW_TAG_namespace || tag == DW_TAG_module ||
                    tag == DW_TAG_structure_type || tag == DW_TAG_class_type;
    if (!is_scope && !((is_function || is_block) && dwarf_haspc(&die, address) > 0)) continue;
    size_t before = location->frame_count;
    const char* inside = add_functions(self, location, &die, address, place);
    if (is_function) {
      const char* name = name_of(&die);
      add_frame(self, location, name != NULL ? name : "?", inside, is_inlined);
      inside = is_inlined ? call_place(&die) : "";
    }
    if (!is_scope || location->frame_count > before) return inside;
  }
  return place;
}

// The functions that debugging information has at the address, if any. Returns the place.
static const char* add_described(session_t* self, Dwfl_Module* module, pf_location* location) {
  Dwarf_Addr bias;
  Dwarf_Die split;
  uint8_t type = 0;
  Dwarf_Die* unit = find_unit(module, location->address, &bias);
  if (unit == NULL) return "";
  uint64_t address = location->address - bias;
  int line = 0;
  Dwarf_Line* at = dwarf_getsrc_die(unit, address);
  bool has_line = at != NULL && dwarf_lineno(at, &line) == 0;
  const char* place = has_line ? place_of(dwarf_linesrc(at, NULL, NULL), line) : "";
  // What it tells may lie in a file of its own (-gsplit-dwarf).
  bool is_split = dwarf_cu_info(unit->cu, NULL, &type, NULL, &split, NULL, NULL, NULL) == 0 &&
                  type == DW_UT_skeleton && dwarf_tag(&split) == DW_TAG_compile_unit;
  add_functions(self, location, is_split ? &split : unit, address, place);
  return place;
}

// The name in the file's table of symbols. Without one, where the function begins by the rows that
// unwinding needs, for it is one function whichever call in it the address is of.
static bool add_symbol(session_t* self, const file_t* file, pf_location* location,
                       const char* place) {
  GElf_Off offset;
  GElf_Sym symbol;
  Dwarf_Addr bias, start, end;
  Dwarf_Frame* frame;
  const char* name =
      dwfl_module_addrinfo(file->module, location->address, &offset, &symbol, NULL, NULL, NULL);
  if (place[0] == '\0') {
    place = hp_format("0x%llx", (unsigned long long)(location->address - file->bias));
  }
  if (name != NULL) {
    add_frame(self, location, readable(name), place, false);
    return true;
  }
  Dwarf_CFI* rows = dwfl_module_eh_cfi(file->module, &bias);
  if (rows == NULL || dwarf_cfi_addrframe(rows, location->address - bias, &frame) != 0)
    return false;
  bool is_known = dwarf_frame_info(frame, &start, &end, NULL) >= 0;
  if (is_known) {
    name = hp_format("%s+0x%llx", pf_base_name(location->mapping->path),
                     (unsigned long long)(start + bias - file->bias));
    add_frame(self, location, name, place, false);
  }
  free(frame);
  return is_known;
}

static void name_location(session_t* self, pf_location* location, const file_t* file) {
  const pf_mapping* mapping = location->mapping;
  uint64_t address = location->address;
  if (file != NULL && file->module != NULL) {
    const char* place = add_described(self, file->module, location);
    if (location->frame_count > 0 || add_symbol(self, file, location, place)) return;
    address -= file->bias;
  } else if (mapping != NULL) {
    address -= mapping->start - mapping->offset;
  }
  const char* module = mapping != NULL ? pf_base_name(mapping->path) : "";
  const char* plus = module[0] != '\0' ? "+" : "";
  add_frame(self, location, hp_format("%s%s0x%llx", module, plus, (unsigned long long)address), "",
            false);
}

void pf_find_symbols(pf_profile* profile, const char* folder) {
  static const Dwfl_Callbacks kCallbacks = {.find_elf = dwfl_build_id_find_elf,
                                            .find_debuginfo = dwfl_standard_find_debuginfo,
                                            .section_address = dwfl_offline_section_address};
  elf_version(EV_CURRENT);
  session_t self = {profile, folder, dwfl_begin(&kCallbacks)};
  file_t* files = hp_alloc(profile->mapping_count * sizeof(*files));
  if (self.dwfl != NULL) dwfl_report_begin(self.dwfl);
  for (size_t i = 0; i < profile->location_count && self.dwfl != NULL; i++) {
    const pf_mapping* mapping = profile->locations[i].mapping;
    if (mapping == NULL || profile->locations[i].frame_count > 0) continue;
    file_t* file = &files[mapping - profile->mappings];
    if (!file->is_tried) find_file(&self, mapping, file);
    file->is_tried = true;
  }
  if (self.dwfl != NULL) dwfl_report_end(self.dwfl, NULL, NULL);
  for (size_t i = 0; i < profile->location_count; i++) {
    pf_location* location = &profile->locations[i];
    const pf_mapping* mapping = location->mapping;
    if (location->frame_count > 0) continue;
    name_location(&self, location, mapping != NULL ? &files[mapping - profile->mappings] : NULL);
  }
  if (self.dwfl != NULL) dwfl_end(self.dwfl);
}
