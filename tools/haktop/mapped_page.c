// The mapped page: found among a process's descriptors, checked, copied whole between two writes.

#define _GNU_SOURCE  // F_GET_SEALS
#include "tools/haktop/mapped_page.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/haktop/watched.h"

// How the kernel shows a memfd in /proc/PID/fd.
static const char kLink[] = "/memfd:" HAK_SHARED_PAGE_NAME " (deleted)";

static bool __attribute__((format(printf, 2, 3)))
refuse(char message[HT_MESSAGE_BYTES], const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, HT_MESSAGE_BYTES, format, arguments);
  va_end(arguments);
  return false;
}

// The process as messages name it. A command may hold anything: what is not ASCII is left out.
static void name_process(pid_t pid, char name[96]) {
  ht_watched watched;
  snprintf(name, 96, "process %d", (int)pid);
  if (!ht_watched_read(pid, &watched)) return;
  for (char* at = watched.command; *at != '\0'; at++) {
    if (*at < ' ' || *at > '~') *at = '?';
  }
  snprintf(name, 96, "process %d (%s)", (int)pid, watched.command);
}

// ---- checking ----

// What every version of the page begins with.
typedef struct header {
  char magic[8];
  uint32_t version;
  uint32_t bytes;
  uint64_t sequence;
  int64_t pid;
} header;

static_assert(offsetof(header, version) == offsetof(hak_shared_page_t, version), "same layout");
static_assert(offsetof(header, bytes) == offsetof(hak_shared_page_t, bytes), "same layout");
static_assert(offsetof(header, sequence) == offsetof(hak_shared_page_t, sequence), "same layout");
static_assert(offsetof(header, pid) == offsetof(hak_shared_page_t, pid), "same layout");

static bool check_header(const header* head, off_t file_bytes, pid_t pid, const char* name,
                         char message[HT_MESSAGE_BYTES]) {
  static const char kMagic[8] = HAK_SHARED_PAGE_MAGIC;
  if (head->sequence == 0 && head->magic[0] == '\0') {
    return refuse(message, "%s has not written its page yet: try again", name);
  }
  if (memcmp(head->magic, kMagic, sizeof(kMagic)) != 0) {
    return refuse(message, "%s: what is named %s there is not a page of hakmem (wrong magic)", name,
                  HAK_SHARED_PAGE_NAME);
  }
  if (head->version != HAK_SHARED_PAGE_VERSION) {
    return refuse(message,
                  "%s publishes a page of version %" PRIu32
                  ", this haktop reads version %d: use "
                  "the haktop that belongs to its hakmem",
                  name, head->version, HAK_SHARED_PAGE_VERSION);
  }
  if (head->bytes != sizeof(hak_shared_page_t) || file_bytes < (off_t)sizeof(hak_shared_page_t)) {
    return refuse(message,
                  "%s publishes a page of %" PRIu32
                  " bytes (in a file of %jd), this haktop reads "
                  "%zu: use the haktop that belongs to its hakmem",
                  name, head->bytes, (intmax_t)file_bytes, sizeof(hak_shared_page_t));
  }
  if (!ht_watched_is_called(pid, head->pid)) {
    return refuse(message,
                  "%s has no page of its own, only that of process %" PRId64
                  ", of which it is a forked child: watch that one",
                  name, head->pid);
  }
  return true;
}

// Maps the page behind `fd`, which stays open.
static bool map(ht_page* page, int fd, pid_t pid, const char* name,
                char message[HT_MESSAGE_BYTES]) {
  struct stat status;
  header head;
  if (fstat(fd, &status) != 0 || pread(fd, &head, sizeof(head), 0) != (ssize_t)sizeof(head)) {
    return refuse(message, "%s: its page cannot be read, or is too short to be one", name);
  }
  if (!check_header(&head, status.st_size, pid, name, message)) return false;
  // A page that shrinks under our eyes would end us with SIGBUS.
  int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    return refuse(message, "%s: its page is not sealed against shrinking, so it is not read", name);
  }
  void* memory = mmap(NULL, sizeof(hak_shared_page_t), PROT_READ, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    return refuse(message, "%s: its page cannot be mapped: %s", name, strerror(errno));
  }
  page->shared = memory;
  return true;
}

// ---- finding ----

static bool refuse_process(pid_t pid, const char* name, int error, char message[HT_MESSAGE_BYTES]) {
  // /proc may hide the processes of others: a signal that may not be sent shows that there is one.
  bool is_hidden = error == ENOENT && kill(pid, 0) != 0 && errno == EPERM;
  if (error == EACCES || error == EPERM || is_hidden) {
    return refuse(message,
                  "not permitted to look into %s: it belongs to another user, or protects itself; "
                  "its owner and root may",
                  name);
  }
  if (error == ENOENT || error == ESRCH) return refuse(message, "there is no process %d", (int)pid);
  return refuse(message, "cannot look into %s: %s", name, strerror(error));
}

// Opens descriptor `number` of the process if it is a page. -1: it is none; `*error` is 0 then, or
// says why it could not be seen or opened.
static int open_if_page(int folder, const char* number, int* error) {
  char link[sizeof(kLink) + 1];
  *error = 0;
  ssize_t length = readlinkat(folder, number, link, sizeof(link));
  if (length < 0 && (errno == EACCES || errno == EPERM)) *error = errno;
  if (length != (ssize_t)sizeof(kLink) - 1 || memcmp(link, kLink, sizeof(kLink) - 1) != 0) {
    return -1;
  }
  // Not blocking: the number may stand for something else by now.
  int fd = openat(folder, number, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) *error = errno;
  return fd;
}

bool ht_page_open(ht_page* page, pid_t pid, char message[HT_MESSAGE_BYTES]) {
  char path[32];
  char name[96];
  name_process(pid, name);
  snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
  DIR* folder = opendir(path);
  if (folder == NULL) return refuse_process(pid, name, errno, message);
  refuse(message,
         "%s publishes no page. Was it started with HAKMEM_TELEMETRY_SHM=1 and served by hakmem? "
         "(A program that closes all its descriptors has none until it is written anew.)",
         name);
  // A forked child holds its parent's page: so go on after one that is not the right one. The
  // descriptor is closed again, lest haktop itself look like a process that has the page.
  bool is_open = false;
  for (struct dirent* entry; !is_open && (entry = readdir(folder)) != NULL;) {
    int error;
    int fd = open_if_page(dirfd(folder), entry->d_name, &error);
    if (fd >= 0) {
      is_open = map(page, fd, pid, name, message);
      close(fd);
    } else if (error != 0) {
      refuse_process(pid, name, error, message);
    }
  }
  closedir(folder);
  return is_open;
}

void ht_page_close(ht_page* page) {
  munmap((void*)page->shared, sizeof(*page->shared));
  page->shared = NULL;
}

// ---- copying ----

typedef uint64_t __attribute__((may_alias)) word;

static_assert(sizeof(hak_shared_page_t) % sizeof(word) == 0, "is copied in words");

// One try: false when the writer was at work meanwhile.
static bool try_copy(hak_shared_page_t* from, word* to) {
  // Pairs with the writer's release store at the end of its update: that update is seen whole.
  uint64_t sequence = hak_load_acquire(&from->sequence);
  if (sequence % 2 != 0) return false;
  for (size_t i = 0; i < sizeof(*from) / sizeof(word); i++) {
    to[i] = __atomic_load_n((const word*)from + i, __ATOMIC_RELAXED);
  }
  // If a word above came from a later update, that update's odd sequence is seen below.
  atomic_thread_fence(memory_order_acquire);
  return hak_load_relaxed(&from->sequence) == sequence;
}

bool ht_page_copy(const ht_page* page, hak_shared_page_t* copy) {
  const struct timespec pause = {.tv_nsec = 1000000};
  for (int tries = 0; tries < 100; tries++) {
    // The cast is for atomic_load, which wants no const; the mapping could not be written to.
    if (try_copy((hak_shared_page_t*)page->shared, (word*)copy)) return true;
    nanosleep(&pause, NULL);
  }
  return false;
}
