// A C++ program, or a plug-in of one in C, that asks for more memory than there is and goes on.

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <new>

extern "C" int run_out_of_memory() {
  volatile size_t enormous = SIZE_MAX / 4;
  try {
    ::operator delete(::operator new(enormous));
  } catch (const std::bad_alloc&) {
    if (::operator new(enormous, std::nothrow) == nullptr) puts("done");
  }
  return 0;
}

int main() { return run_out_of_memory(); }
