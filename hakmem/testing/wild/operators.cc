// One group of operators that a program or a library replaces (-DGROUP_...): each puts a header
// before its blocks, insists on it when they come back, and counts. Built into libraries, which the
// test combines.

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace {

constexpr uint64_t kMagic = 0x600dc0de600dc0de + GROUP;
int n_new, n_delete;

// `room` bytes before the block, of which the first eight are the header.
[[maybe_unused]] void* Make(size_t size, size_t room) {
  void* base = nullptr;
  if (posix_memalign(&base, room, size + room) != 0) throw std::bad_alloc();
  n_new++;
  *static_cast<uint64_t*>(base) = kMagic;
  return static_cast<char*>(base) + room;
}

[[maybe_unused]] void Drop(void* block, size_t room) {
  if (block == nullptr) return;
  auto* base = reinterpret_cast<uint64_t*>(static_cast<char*>(block) - room);
  if (*base != kMagic) {
    static const char text[] = "a block of another operator new\n";
    _exit(write(STDOUT_FILENO, text, sizeof text - 1) > 0 ? 3 : 4);
  }
  *base = 0;
  n_delete++;
  free(base);
}

struct Report {
  ~Report() { printf("group %d: %d made, %d dropped\n", GROUP, n_new, n_delete); }
} report;

}  // namespace

// NOLINTBEGIN(misc-new-delete-overloads): that is the point.
#if GROUP == 1  // single objects
void* operator new(size_t size) { return Make(size, 16); }
void operator delete(void* block) noexcept { Drop(block, 16); }
#elif GROUP == 2  // arrays
void* operator new[](size_t size) { return Make(size, 16); }
void operator delete[](void* block) noexcept { Drop(block, 16); }
#elif GROUP == 3  // aligned single objects
void* operator new(size_t size, std::align_val_t alignment) {
  return Make(size, static_cast<size_t>(alignment));
}
void operator delete(void* block, std::align_val_t alignment) noexcept {
  Drop(block, static_cast<size_t>(alignment));
}
#elif GROUP == 4  // aligned arrays
void* operator new[](size_t size, std::align_val_t alignment) {
  return Make(size, static_cast<size_t>(alignment));
}
void operator delete[](void* block, std::align_val_t alignment) noexcept {
  Drop(block, static_cast<size_t>(alignment));
}
#elif GROUP == 5  // forms that forward, as the standard's do
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  n_new++;
  return ::operator new(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  n_new++;
  return ::operator new[](size);
}
void operator delete(void* block, size_t) noexcept {
  n_delete++;
  ::operator delete(block);
}
void operator delete[](void* block, size_t) noexcept {
  n_delete++;
  ::operator delete[](block);
}
#else
#error "no such group"
#endif
// NOLINTEND(misc-new-delete-overloads)
