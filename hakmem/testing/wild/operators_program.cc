// Makes and drops a block by every pair of operators that the standard lets meet.

#include <cstdio>
#include <initializer_list>
#include <new>

namespace {

template <typename T>
T* Opaque(T* block) {
  asm volatile("" : "+r"(block) : : "memory");
  if (block == nullptr) puts("no block");
  return block;
}

}  // namespace

int main() {
  const auto wide = std::align_val_t{64};
  for (size_t size : {size_t{0}, size_t{1}, size_t{100}, size_t{5000}, size_t{300000}}) {
    ::operator delete(Opaque(::operator new(size)));
    ::operator delete(Opaque(::operator new(size)), size);
    ::operator delete(Opaque(::operator new(size)), std::nothrow);
    ::operator delete(Opaque(::operator new(size, std::nothrow)));
    ::operator delete(Opaque(::operator new(size, std::nothrow)), size);
    ::operator delete[](Opaque(::operator new[](size)));
    ::operator delete[](Opaque(::operator new[](size)), size);
    ::operator delete[](Opaque(::operator new[](size)), std::nothrow);
    ::operator delete[](Opaque(::operator new[](size, std::nothrow)));
    ::operator delete[](Opaque(::operator new[](size, std::nothrow)), size);
    ::operator delete(Opaque(::operator new(size, wide)), wide);
    ::operator delete(Opaque(::operator new(size, wide)), size, wide);
    ::operator delete(Opaque(::operator new(size, wide)), wide, std::nothrow);
    ::operator delete(Opaque(::operator new(size, wide, std::nothrow)), wide);
    ::operator delete[](Opaque(::operator new[](size, wide)), wide);
    ::operator delete[](Opaque(::operator new[](size, wide)), size, wide);
    ::operator delete[](Opaque(::operator new[](size, wide)), wide, std::nothrow);
    ::operator delete[](Opaque(::operator new[](size, wide, std::nothrow)), size, wide);
  }
  puts("done");
}
