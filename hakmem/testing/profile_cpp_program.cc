// A program in C++ whose memory is known. `freed_at_the_end` has most of it until its destructor;
// of what is left Leak has most, in a function that is inlined into it.

#include <cstddef>
#include <cstdio>
#include <memory>
#include <vector>

namespace {

void* volatile kept;

template <typename T>
inline __attribute__((always_inline)) T* MakeArray(size_t n) {
  return new T[n];
}

class Owner {
 public:
  __attribute__((noinline)) void Leak(int n) {
    for (int i = 0; i < n; i++) kept = MakeArray<double>(30);
  }
};

__attribute__((noinline)) void LeakLess(int n) {
  for (int i = 0; i < n; i++) kept = new int[60];
}

std::vector<std::unique_ptr<char[]>> freed_at_the_end;

}  // namespace

int main() {
  for (int i = 0; i < 40; i++) freed_at_the_end.push_back(std::make_unique<char[]>(1000000));
  Owner owner;
  owner.Leak(20000);
  LeakLess(2000);
  std::puts("done");
  return 0;
}
