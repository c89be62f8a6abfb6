// A program that holds memory: what each function holds, and which of them are inlined, is known.

#include <cstdlib>
#include <map>
#include <new>
#include <string>
#include <vector>

#define NOINLINE __attribute__((noinline))
#define INLINE inline __attribute__((always_inline))

namespace holder {

void* volatile hidden;  // so that no call is in tail position

struct Table {
  std::map<int, std::string> rows;
  std::vector<char> text;
};

// 60 000 rows of some 300 bytes, nodes and all.
INLINE void FillRows(Table* table) {
  for (int i = 0; i < 60000; i++) table->rows[i] = std::string(200, 'x');
}

template <typename Of>
NOINLINE Of* MakeArray(size_t count) {
  Of* array = static_cast<Of*>(malloc(count * sizeof(Of)));
  hidden = array;
  return array;
}

NOINLINE void Load(Table* table) {
  FillRows(table);
  table->text.resize(40 << 20);
  hidden = table;
}

// Allocates as much again, and frees it.
NOINLINE void Work() {
  for (int i = 0; i < 100; i++) {
    free(MakeArray<int>(100000));
    hidden = nullptr;
  }
}

}  // namespace holder

alignas(holder::Table) static char place[sizeof(holder::Table)];

int main(int argc, char**) {
  holder::Load(new (place) holder::Table);
  holder::MakeArray<double>(1000000 * argc);
  holder::Work();
  return 0;
}
