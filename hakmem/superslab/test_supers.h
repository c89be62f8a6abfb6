// What SuperSlabs hold, added up over all of them: for tests of the layers up to there.

#ifndef HAKMEM_TEST_SUPERS_H_
#define HAKMEM_TEST_SUPERS_H_

extern "C" {
#include "hakmem/base/bits.h"
#include "hakmem/superslab/superslab.h"
}

namespace hak {

struct Held {
  size_t dirty_bytes = 0;       // pages that may hold memory
  size_t free_dirty_bytes = 0;  // those of them that are in no run
  size_t span_bytes = 0, huge_bytes = 0;
};

inline Held CountHeld() {
  Held held;
  hak_super_visit(
      [](hak_superslab_t* super, void* context) {
        auto* sum = static_cast<Held*>(context);
        sum->dirty_bytes += hak_bit_count(super->dirty_pages) * HAK_PAGE_BYTES;
        sum->free_dirty_bytes +=
            hak_bit_count(super->dirty_pages & super->free_pages) * HAK_PAGE_BYTES;
        if (super->state == HAK_SUPER_HUGE && super->head == super) {
          sum->huge_bytes += super->huge_bytes;
        }
        if (!hak_super_has_runs(super)) return;
        (void)hak_super_visit_runs(
            super,
            [](hak_run_t* run, void* spans) {
              if (run->size_class == 0) {
                static_cast<Held*>(spans)->span_bytes += run->n_pages * HAK_PAGE_BYTES;
              }
            },
            sum);
      },
      &held);
  return held;
}

}  // namespace hak

#endif  // HAKMEM_TEST_SUPERS_H_
