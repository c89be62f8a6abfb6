// The walk from the process's group to the top one, in either version of cgroups.
//
// Where a container has a view of its own (a namespace of cgroups, or its group mounted as if it
// were the top one) the path of /proc/self/cgroup may lead nowhere. Then what can be read is the
// top one that the process sees, and that is its own.

#include "hakmem/platform/container.h"

#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

#include "hakmem/base/bits.h"
#include "hakmem/platform/platform.h"

#define GROUPS_BYTES 4096  // /proc/self/cgroup: a line for each hierarchy, of 100 bytes or so
#define PATH_BYTES 1024    // of a file's name; what is deeper than that is not known

// A file's name, of which the first `length` bytes stand for the group.
typedef struct place {
  char path[PATH_BYTES];
  size_t length;
} place_t;

static bool append(place_t* place, const char* text, size_t length) {
  if (length >= PATH_BYTES - place->length) return false;
  memcpy(place->path + place->length, text, length);
  place->length += length;
  place->path[place->length] = '\0';
  return true;
}

// The number in a file of the group; UINT64_MAX where there is none ("max"), or no such file.
static uint64_t number_in(const place_t* group, const char* file) {
  place_t at = *group;
  char text[32];
  size_t length;
  if (!append(&at, file, strlen(file))) return UINT64_MAX;
  if (hak_platform_read_file(at.path, text, sizeof text, &length) != 0) return UINT64_MAX;
  uint64_t number = 0;
  size_t n_digits = 0;
  for (; n_digits < length && text[n_digits] >= '0' && text[n_digits] <= '9'; n_digits++) {
    if (__builtin_mul_overflow(number, 10, &number)) return UINT64_MAX;
    if (__builtin_add_overflow(number, text[n_digits] - '0', &number)) return UINT64_MAX;
  }
  return n_digits != 0 ? number : UINT64_MAX;
}

static void take_least(uint64_t* least, uint64_t value) {
  if (value < *least) *least = value;
}

// The group at `path` below `mount`, and all above it.
static void ask_groups(const char* root, const char* mount, const char* path, size_t path_bytes,
                       hak_container_t* container) {
  place_t group = {.length = 0};
  if (!append(&group, root, strlen(root)) || !append(&group, mount, strlen(mount))) return;
  size_t top = group.length;
  if (!append(&group, path, path_bytes)) group.path[top] = '\0';  // then only the top is known
  for (;;) {
    take_least(&container->most, number_in(&group, "/memory.max"));
    take_least(&container->most, number_in(&group, "/memory.limit_in_bytes"));
    take_least(&container->high, number_in(&group, "/memory.high"));
    if (group.length <= top) return;
    while (group.length > top && group.path[group.length - 1] != '/') group.length--;
    if (group.length > top) group.length--;  // the slash
    group.path[group.length] = '\0';
  }
}

// Whether a list, "cpu,memory,pids", names the memory controller.
static bool has_memory(const char* at, const char* end) {
  static const char name[] = "memory";
  while (at < end) {
    const char* comma = memchr(at, ',', (size_t)(end - at));
    const char* next = comma != NULL ? comma : end;
    if ((size_t)(next - at) == sizeof name - 1 && memcmp(at, name, sizeof name - 1) == 0)
      return true;
    at = next + 1;
  }
  return false;
}

// A line of /proc/self/cgroup, "NUMBER:CONTROLLERS:PATH": of version 2, if it names no controller.
static void ask_line(const char* root, const char* at, const char* end,
                     hak_container_t* container) {
  const char* list = memchr(at, ':', (size_t)(end - at));
  if (list == NULL) return;
  list++;
  const char* path = memchr(list, ':', (size_t)(end - list));
  if (path == NULL) return;
  size_t path_bytes = (size_t)(end - path - 1);
  if (path_bytes == 1) path_bytes = 0;  // "/"
  if (path == list) {
    ask_groups(root, "/sys/fs/cgroup", path + 1, path_bytes, container);
  } else if (has_memory(list, path)) {
    ask_groups(root, "/sys/fs/cgroup/memory", path + 1, path_bytes, container);
  }
}

static uint64_t machine_bytes(void) {
  struct sysinfo info;
  int error = hak_platform_call(HAK_KERNEL_TELEMETRY, 0, NULL, SYS_sysinfo,
                                (const long[6]){(long)&info, 0, 0, 0, 0, 0});
  return error == 0 ? (uint64_t)info.totalram * info.mem_unit : UINT64_MAX;
}

void hak_container_ask(const char* root, hak_container_t* container) {
  char text[GROUPS_BYTES];
  size_t length = 0;
  place_t file = {.length = 0};
  *container = (hak_container_t){.most = machine_bytes(), .high = UINT64_MAX};
  static const char groups[] = "/proc/self/cgroup";
  if (!append(&file, root, strlen(root)) || !append(&file, groups, sizeof groups - 1)) return;
  if (hak_platform_read_file(file.path, text, sizeof text, &length) != 0) return;
  for (const char *at = text, *all_end = text + length; at < all_end;) {
    const char* newline = memchr(at, '\n', (size_t)(all_end - at));
    const char* end = newline != NULL ? newline : all_end;
    ask_line(root, at, end, container);
    at = end + 1;
  }
}
