// A page for haktop's tests: one filled in by hand, and its publication as the allocator does it.

#ifndef HAKMEM_TOOLS_HAKTOP_TEST_PAGE_H_
#define HAKMEM_TOOLS_HAKTOP_TEST_PAGE_H_

#include <sys/types.h>

#include <cstddef>
#include <functional>

#include "hakmem/telemetry/shared_page.h"

namespace haktop_testing {

// A process in full swing, `seconds` after its start: every figure is different, and all that
// count grow with time.
void FillPage(hak_shared_page_t* page, unsigned seconds);

// Publishes a page in this process's name. The page goes with the object.
class Publisher {
 public:
  struct Flaws {
    size_t bytes = sizeof(hak_shared_page_t);  // of the file
    bool is_sealed = true;
  };
  Publisher() : Publisher(Flaws()) {}
  explicit Publisher(const Flaws& flaws);
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // The page itself, to spoil it; only as long as the file is.
  hak_shared_page_t* page() { return page_; }

  // Writes the state of FillPage(seconds) as the allocator would: under the sequence.
  void Update(unsigned seconds);

 private:
  int fd_;
  size_t bytes_;
  hak_shared_page_t* page_;
};

// A forked process that publishes a page and updates it every `pause_us`, one second of its own
// time each, until the object goes.
class PublishingProcess {
 public:
  // `spoil`, if given, changes the page, which is not updated then.
  explicit PublishingProcess(const std::function<void(Publisher&)>& spoil = nullptr,
                             unsigned pause_us = 20000);
  ~PublishingProcess() { End(); }
  PublishingProcess(const PublishingProcess&) = delete;
  PublishingProcess& operator=(const PublishingProcess&) = delete;

  pid_t pid() const { return pid_; }
  void End();  // kills it and waits for it

 private:
  pid_t pid_;
};

}  // namespace haktop_testing

#endif  // HAKMEM_TOOLS_HAKTOP_TEST_PAGE_H_
