// The walk over loaded objects that tells whose an address is.

#define _GNU_SOURCE  // dl_iterate_phdr, sbrk

#include "hakmem/platform/origin.h"

#include <errno.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

// What the walk over the loaded objects finds. Names are the dynamic linker's, "" the program's.
typedef struct search {
  uintptr_t address;
  uintptr_t program_end;     // of the program's static memory, behind which the heap begins
  const char* holder;        // the object whose memory holds the address; NULL: none
  const char* other_malloc;  // a library that is called some malloc; NULL: none
} search_t;

// The end of the object's segments; sets the holder.
static uintptr_t look_at_segments(const struct dl_phdr_info* object, search_t* search) {
  uintptr_t end = 0;
  for (size_t i = 0; i < object->dlpi_phnum; i++) {
    if (object->dlpi_phdr[i].p_type != PT_LOAD) continue;
    uintptr_t begin = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
    end = begin + object->dlpi_phdr[i].p_memsz;
    if (search->address >= begin && search->address < end) search->holder = object->dlpi_name;
  }
  return end;
}

static int look_at(struct dl_phdr_info* object, size_t bytes, void* context) {
  (void)bytes;
  search_t* search = context;
  uintptr_t end = look_at_segments(object, search);
  if (search->program_end == 0) search->program_end = end;  // the program comes first
  const char* slash = strrchr(object->dlpi_name, '/');
  const char* name = slash != NULL ? slash + 1 : object->dlpi_name;
  if (strstr(name, "malloc") != NULL) search->other_malloc = object->dlpi_name;
  return 0;
}

static bool is_in_heap(const search_t* search) {
  int saved_errno = errno;
  uintptr_t heap_end = (uintptr_t)sbrk(0);
  errno = saved_errno;
  return heap_end != UINTPTR_MAX && search->address >= search->program_end &&
         search->address < heap_end;
}

void hak_origin_describe(hak_line_t* line, const void* address) {
  search_t search = {.address = (uintptr_t)address};
  dl_iterate_phdr(look_at, &search);
  if (search.holder != NULL) {
    hak_line_text(line, "static memory, or another malloc's, in ");
    hak_line_text(line, *search.holder != '\0' ? search.holder : "the program itself");
  } else if (is_in_heap(&search)) {
    hak_line_text(line,
                  "another malloc's, in [heap]: libc's, which RTLD_DEEPBIND and handles of "
                  "libc lead to");
  } else if (search.other_malloc != NULL) {
    hak_line_text(line, "another malloc's, or no block at all; loaded is ");
    hak_line_text(line, search.other_malloc);
  } else {
    hak_line_text(line, "another malloc's, or no block at all");
  }
}
