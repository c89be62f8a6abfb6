// A program whose first call of the allocator is free(NULL), and which allocates and frees wherever
// it is late: in destructors of thread-specific and thread_local data, also those that run after
// the allocator's own, in atexit handlers and in destructors of static objects. Each of them frees
// what another has left.

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <initializer_list>
#include <thread>

namespace {

char* volatile left;

// Frees what was left last, checked, and leaves a block.
void Exchange() {
  for (size_t size : {size_t{24}, size_t{3000}, size_t{100000}, size_t{3} << 20}) {
    char* block = static_cast<char*>(malloc(size));
    if (block == nullptr) abort();
    memset(block, 7, size);
    if (left != nullptr && left[0] != 7) abort();
    free(left);
    left = block;
  }
  free(calloc(10, 10));
}

pthread_key_t key;

// Comes back in every round of destructors, so that most of its calls come after the allocator's.
void AtKeyDestruction(void* value) {
  Exchange();
  auto round = reinterpret_cast<intptr_t>(value);
  if (round < PTHREAD_DESTRUCTOR_ITERATIONS) {
    pthread_setspecific(key, reinterpret_cast<void*>(round + 1));
  }
}

struct AtThreadEnd {
  ~AtThreadEnd() { Exchange(); }
  int value = 0;
};
thread_local AtThreadEnd at_thread_end;

struct AtProcessEnd {
  ~AtProcessEnd() { Exchange(); }
};
AtProcessEnd at_process_end;

// Uses thread-specific data with or without having allocated before.
void Work(bool allocates) {
  at_thread_end.value = 1;
  if (allocates) Exchange();
  pthread_setspecific(key, reinterpret_cast<void*>(1));
}

__attribute__((constructor(101))) void First() { free(nullptr); }

}  // namespace

int main() {
  if (pthread_key_create(&key, AtKeyDestruction) != 0) return 1;
  atexit(Exchange);
  for (int i = 0; i < 200; i++) std::thread(Work, i % 2 == 0).join();
  // Threads that free only what others allocated.
  for (int i = 0; i < 50; i++) {
    char* block = static_cast<char*>(malloc(500));
    std::thread([block] { free(block); }).join();
  }
  Work(true);
  puts("done");
  pthread_exit(nullptr);  // the main thread's destructors run too; the process ends with status 0
}
