// openat, pread64 and close.

#include "hakmem/platform/file.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "hakmem/platform/platform.h"

int hak_file_open(const char* path) {
  long file;
  int error =
      hak_platform_call(HAK_KERNEL_TELEMETRY, 0, &file, SYS_openat,
                        (const long[6]){AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0});
  return error == 0 ? (int)file : -1;
}

void hak_file_close(int file) {
  (void)hak_platform_call(HAK_KERNEL_TELEMETRY, 0, NULL, SYS_close,
                          (const long[6]){file, 0, 0, 0, 0, 0});
}

size_t hak_file_read(int file, uint64_t offset, void* out, size_t bytes) {
  size_t got = 0;
  while (got < bytes) {
    long n = 0;
    int error = hak_platform_call(HAK_KERNEL_TELEMETRY, bytes - got, &n, SYS_pread64,
                                  (const long[6]){file, (long)((char*)out + got),
                                                  (long)(bytes - got), (long)(offset + got), 0, 0});
    if (error != 0 || n <= 0) break;
    got += (size_t)n;
  }
  return got;
}
