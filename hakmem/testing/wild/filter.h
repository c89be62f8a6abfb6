// Filters of system calls, for programs that put themselves into a sandbox after they have begun.

#ifndef HAKMEM_TESTING_WILD_FILTER_H_
#define HAKMEM_TESTING_WILD_FILTER_H_

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// How long the lists are at most.
#define FILTER_MAX 32

// From here on every thread of the process may make these calls (a list that ends with -1), and for
// any other the kernel does `action`: an error, or the end of the process. False: there is no
// seccomp here.
static inline bool allow_only(const int* calls, unsigned action) {
  struct sock_filter filter[2 * FILTER_MAX + 2];
  unsigned short n = 0;
  filter[n++] =
      (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (; *calls >= 0; calls++) {
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)*calls, 0, 1);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  }
  filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
  struct sock_fprog program = {n, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

#endif  // HAKMEM_TESTING_WILD_FILTER_H_
