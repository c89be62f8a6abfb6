// Descriptors with high numbers, each known by the device and inode of its file.

#define _GNU_SOURCE  // memfd and seal constants

#include "hakmem/platform/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hakmem/platform/platform.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010  // Linux 5.1
#endif

// The answer of a system call, or its negated errno value; how many bytes it moves is counted.
static long kernel_bytes(size_t bytes, long number, const long arguments[6]) {
  long answer = 0;
  int error = hak_platform_call(HAK_KERNEL_TELEMETRY, bytes, &answer, number, arguments);
  return error == 0 ? answer : -(long)error;
}

#define kernel(number, ...) kernel_bytes(0, number, (const long[6]){__VA_ARGS__})

static int error_of(long answer) { return answer < 0 ? (int)-answer : 0; }

int64_t hak_process_id(void) { return kernel(SYS_getpid, 0); }

// ---- opening and closing ----

static bool identify(int number, struct stat* status) {
  return number >= 0 && kernel(SYS_fstat, number, (long)status) == 0;
}

// Moves a descriptor out of the way of those that the program opens. Where the limit on their
// number is low it gets as high as it can.
static int move_up(int number) {
  static const int floors[] = {1000, 240, 56};
  for (size_t i = 0; i < sizeof floors / sizeof floors[0]; i++) {
    long moved = kernel(SYS_fcntl, number, F_DUPFD_CLOEXEC, floors[i]);
    if (moved < 0) continue;
    kernel(SYS_close, number);
    return (int)moved;
  }
  return number;
}

hak_descriptor_t hak_descriptor_of(int number) {
  struct stat status;
  if (!identify(number, &status)) return (hak_descriptor_t)HAK_DESCRIPTOR_NONE;
  return (hak_descriptor_t){number, status.st_dev, status.st_ino};
}

static int adopt(hak_descriptor_t* out, long opened) {
  if (opened < 0) return (int)-opened;
  int number = move_up((int)opened);
  *out = hak_descriptor_of(number);
  if (out->number >= 0) return 0;
  kernel(SYS_close, number);
  return EBADF;
}

// O_NONBLOCK is for the opening alone, which would else wait for a FIFO's reader.
static int open_file(hak_descriptor_t* out, const char* path, int flags) {
  flags |= O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  int error = adopt(out, kernel(SYS_openat, AT_FDCWD, (long)path, flags, 0644));
  if (error != 0) return error;
  long now = kernel(SYS_fcntl, out->number, F_GETFL);
  if (now >= 0) kernel(SYS_fcntl, out->number, F_SETFL, now & ~O_NONBLOCK);
  return 0;
}

int hak_descriptor_open(hak_descriptor_t* out, const char* path) {
  return open_file(out, path, O_APPEND);
}

int hak_descriptor_create(hak_descriptor_t* out, const char* path) {
  return open_file(out, path, O_TRUNC);
}

void hak_descriptor_unshare(void* memory, size_t bytes) {
  kernel(SYS_munmap, (long)memory, (long)bytes);
}

int hak_descriptor_duplicate(hak_descriptor_t* out, int number) {
  return adopt(out, kernel(SYS_fcntl, number, F_DUPFD_CLOEXEC, 3));
}

static int prepare_shared(int number, size_t bytes, void** memory) {
  long answer = kernel(SYS_fchmod, number, 0600);
  if (answer == 0) answer = kernel(SYS_ftruncate, number, (long)bytes);
  if (answer == 0) {
    answer = kernel(SYS_mmap, 0, (long)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, number, 0);
  }
  if (answer < 0 && answer > -4096) return (int)-answer;
  void* mapped = (void*)answer;
  int error = error_of(kernel(SYS_madvise, (long)mapped, (long)bytes, MADV_DONTFORK));
  int seals = F_SEAL_SHRINK | F_SEAL_GROW;
  if (error == 0) error = error_of(kernel(SYS_fcntl, number, F_ADD_SEALS, seals));
  if (error != 0) {
    hak_descriptor_unshare(mapped, bytes);
    return error;
  }
  // Where the kernel can, nobody but this mapping may write.
  kernel(SYS_fcntl, number, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
  *memory = mapped;
  return 0;
}

int hak_descriptor_share(hak_descriptor_t* out, const char* name, size_t bytes, void** memory) {
  int error = adopt(out, kernel(SYS_memfd_create, (long)name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (error != 0) return error;
  error = prepare_shared(out->number, bytes, memory);
  if (error != 0) hak_descriptor_close(out);
  return error;
}

static bool is_file(const hak_descriptor_t* descriptor, struct stat* status) {
  return identify(descriptor->number, status) && status->st_dev == descriptor->device &&
         status->st_ino == descriptor->inode;
}

bool hak_descriptor_is_ours(const hak_descriptor_t* descriptor) {
  struct stat status;
  return is_file(descriptor, &status);
}

bool hak_descriptor_has_name(const hak_descriptor_t* descriptor) {
  struct stat status;
  return is_file(descriptor, &status) && !(S_ISREG(status.st_mode) && status.st_nlink == 0);
}

bool hak_descriptor_is_put(int number) {
  struct stat status;
  long flags = kernel(SYS_fcntl, number, F_GETFD), mode = kernel(SYS_fcntl, number, F_GETFL);
  if (flags < 0 || mode < 0 || (flags & FD_CLOEXEC) != 0 || (mode & O_ACCMODE) == O_RDONLY ||
      !identify(number, &status)) {
    return false;
  }
  bool is_log = (mode & O_APPEND) != 0 || status.st_nlink == 0;
  return S_ISCHR(status.st_mode) || S_ISFIFO(status.st_mode) || (S_ISREG(status.st_mode) && is_log);
}

void hak_descriptor_close(hak_descriptor_t* descriptor) {
  if (hak_descriptor_is_ours(descriptor)) kernel(SYS_close, descriptor->number);
  descriptor->number = -1;
}

// ---- writing ----

#define SIGNAL_BIT(n) (UINT64_C(1) << ((n)-1))
#define WRITE_SIGNALS (SIGNAL_BIT(SIGXFSZ) | SIGNAL_BIT(SIGPIPE) | SIGNAL_BIT(SIGTTOU))

// The signals that a failed write sends to its thread are kept off the program: blocked meanwhile,
// and taken back unless they were pending before. (To a terminal that lets nobody write from the
// background, one that has SIGTTOU blocked may.)
typedef struct signals {
  uint64_t before;   // the thread's mask
  uint64_t pending;  // of WRITE_SIGNALS
} signals_t;

static void hold_signals(signals_t* held) {
  uint64_t block = WRITE_SIGNALS;
  held->before = held->pending = 0;
  kernel(SYS_rt_sigprocmask, SIG_BLOCK, (long)&block, (long)&held->before, sizeof block);
  // Only what was blocked already can be pending.
  if ((held->before & WRITE_SIGNALS) != 0) {
    kernel(SYS_rt_sigpending, (long)&held->pending, sizeof held->pending);
  }
}

static void release_signals(const signals_t* held, int error) {
  if (error == EPIPE || error == EFBIG) {
    uint64_t signal = SIGNAL_BIT(error == EPIPE ? SIGPIPE : SIGXFSZ) & ~held->pending;
    const struct timespec at_once = {0, 0};
    kernel(SYS_rt_sigtimedwait, (long)&signal, 0, (long)&at_once, sizeof signal);
  }
  kernel(SYS_rt_sigprocmask, SIG_SETMASK, (long)&held->before, 0, sizeof held->before);
}

// What a pipe has room for when poll says that there is some.
#define PIECE_BYTES 4096

// 0 when the descriptor has room for a piece, or when that cannot be asked.
static int wait_for_room(int number, int wait_ms) {
  struct pollfd room = {.fd = number, .events = POLLOUT};
  struct timespec limit = {.tv_sec = wait_ms / 1000, .tv_nsec = (long)(wait_ms % 1000) * 1000000};
  long n;
  do {
    n = kernel(SYS_ppoll, (long)&room, 1, wait_ms < 0 ? 0 : (long)&limit, 0, 0);
  } while (n == -EINTR);
  return n == 0 ? EAGAIN : 0;
}

static long write_piece(int number, mode_t mode, const char* text, size_t length) {
  if (S_ISSOCK(mode)) {
    return kernel_bytes(
        length, SYS_sendto,
        (const long[6]){number, (long)text, (long)length, MSG_DONTWAIT | MSG_NOSIGNAL, 0, 0});
  }
  return kernel_bytes(length, SYS_write, (const long[6]){number, (long)text, (long)length});
}

static int write_all(int number, const char* text, size_t length, int wait_ms, size_t* written) {
  struct stat status;
  *written = 0;
  if (!identify(number, &status)) return EBADF;
  bool is_regular = S_ISREG(status.st_mode);
  while (*written < length) {
    size_t piece = is_regular ? length - *written : hak_min_size(length - *written, PIECE_BYTES);
    if (!is_regular) {
      int error = wait_for_room(number, wait_ms);
      if (error != 0) return error;
    }
    long n = write_piece(number, status.st_mode, text + *written, piece);
    if (n == -EINTR) continue;
    if (n <= 0) return n == 0 ? EIO : (int)-n;
    *written += (size_t)n;
  }
  return 0;
}

// The last `written` bytes before the file offset are ours; they are the file's last if it ends
// there. The offset goes back too, for a file that was not opened to append.
static void take_back(int number, size_t written) {
  struct stat status;
  long end = kernel(SYS_lseek, number, 0, SEEK_CUR), begin = end - (long)written;
  if (!identify(number, &status) || !S_ISREG(status.st_mode) || end != status.st_size) return;
  if (kernel(SYS_ftruncate, number, begin) == 0) kernel(SYS_lseek, number, begin, SEEK_SET);
}

int hak_descriptor_append(int number, const char* text, size_t length, int wait_ms) {
  signals_t held;
  size_t written;
  hold_signals(&held);
  int error = write_all(number, text, length, wait_ms, &written);
  if (error != 0 && written != 0) take_back(number, written);
  release_signals(&held, error);
  return error;
}

// ---- names ----

bool hak_working_directory(char* out, size_t bytes) {
  return kernel(SYS_getcwd, (long)out, (long)bytes) > 0 && out[0] == '/';  // else it is unreachable
}

int hak_rename(const char* from, const char* to) {
  return error_of(kernel(SYS_renameat2, AT_FDCWD, (long)from, AT_FDCWD, (long)to, 0));
}

void hak_unlink(const char* path) { kernel(SYS_unlinkat, AT_FDCWD, (long)path, 0); }
