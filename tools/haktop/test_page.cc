// A page for tests: the figures in it, and its file as the allocator would publish it.

#include "tools/haktop/test_page.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace haktop_testing {
namespace {

constexpr uint64_t kSecond = 1000000000;
constexpr uint64_t kMiB = 1 << 20;

void FillKernel(hak_kernel_stats* call, uint64_t seconds, uint64_t rate) {
  call->calls = 10 + rate * seconds;
  call->bytes = call->calls * 64 * 1024;
  call->failures = rate / 10;
  call->ns = call->calls * 1500;
}

void FillStats(hak_stats* stats, uint64_t seconds) {
  stats->time_ns = (5000 + seconds) * kSecond;
  FillKernel(&stats->mmap, seconds, 0);
  FillKernel(&stats->munmap, seconds, 1);
  FillKernel(&stats->madvise, seconds, 25);
  FillKernel(&stats->mremap, seconds, 2);
  FillKernel(&stats->mprotect, seconds, 3);
  FillKernel(&stats->futex, seconds, 1400);
  FillKernel(&stats->telemetry, seconds, 36);
  stats->minor_faults = 4000 + 250 * seconds;
  stats->major_faults = 7;
  stats->user_ns = 1500 * kSecond + seconds * kSecond * 3 / 2;
  stats->system_ns = 40 * kSecond + seconds * kSecond / 2;
  stats->rss_bytes = 150 * kMiB;
  stats->vmas = 57;
  stats->vmas_max = 65530;
  stats->reserved_bytes = 1024 * kMiB;
  stats->committed_bytes = 160 * kMiB;
  stats->allocated_bytes = 120 * kMiB;
  stats->metadata_bytes = 2 * kMiB;
  stats->purged_bytes = 33 * kMiB * seconds;
  stats->spans = 12;
  stats->span_bytes = 3 * kMiB;
  stats->huge_blocks = 2;
  stats->huge_bytes = 20 * kMiB;
  stats->heaps = 4;
  stats->cached_bytes = 5 * kMiB;
  stats->outgoing_bytes = kMiB;
  stats->refills = 7000 * seconds;
  stats->flushes = 6500 * seconds;
  stats->remote_frees = 123456 * seconds;
  stats->remote_atomics = 1200 * seconds;
  stats->adoptions = 9;
  stats->exhaustions = 31;
  stats->lock_acquisitions = 3100 * seconds;
  stats->lock_contentions = 14 * seconds;
  stats->events = 400;
}

// Adds up to committed - live.
void FillRetention(hak_retention* retention) {
  retention->committed_bytes = 160 * kMiB;
  retention->live_bytes = 120 * kMiB;
  retention->rounding_bytes = kMiB;
  retention->partial_slabs_bytes = 20 * kMiB;
  retention->abandoned_bytes = 2 * kMiB;
  retention->prewarmed_bytes = 0;
  retention->thread_caches_bytes = 5 * kMiB;
  retention->outgoing_bytes = kMiB;
  retention->empty_pages_bytes = 7 * kMiB;
  retention->huge_cache_bytes = 2 * kMiB;
  retention->lost_bytes = 0;
  retention->metadata_bytes = 2 * kMiB;
}

void FillClass(hak_class_stats* out, uint64_t block_bytes, uint64_t seconds, uint64_t rate) {
  out->block_bytes = block_bytes;
  out->slabs = 3 + rate / 1000;
  out->capacity = out->slabs * (64 * 1024 / block_bytes);
  out->live = out->capacity * 3 / 4;
  out->cached = out->capacity / 16;
  out->outgoing = out->capacity / 64;
  out->free = out->capacity - out->live - out->cached - out->outgoing;
  out->taken = 1000 + rate * seconds;
  out->returned = rate * seconds;
  out->refills = rate * seconds / 64;
  out->flushes = rate * seconds / 128;
  out->remote_frees = rate * seconds / 10;
  out->adoptions = rate / 5000;
  out->exhaustions = rate / 2000;
}

void FillEvent(hak_event_t* event, uint64_t number, uint64_t time_ns) {
  static const hak_event_kind_t kKinds[] = {HAK_EVENT_PURGED, HAK_EVENT_EXHAUSTED,
                                            HAK_EVENT_ADOPTED, HAK_EVENT_RESERVED};
  event->sequence = number;
  event->time_ns = time_ns;
  event->kind = static_cast<uint16_t>(kKinds[number % 4]);
  event->size_class = event->kind == HAK_EVENT_EXHAUSTED ? 8 : 0;
  event->thread = static_cast<uint32_t>(number % 3 + 1);
  event->address = 0x7f1200000000 + number * 2 * kMiB;
  event->bytes = 2 * kMiB;
}

}  // namespace

void FillPage(hak_shared_page_t* page, unsigned seconds) {
  memcpy(page->magic, HAK_SHARED_PAGE_MAGIC, sizeof(page->magic));
  page->version = HAK_SHARED_PAGE_VERSION;
  page->bytes = sizeof(*page);
  page->pid = getpid();
  snprintf(page->phase, sizeof(page->phase), "steady");
  FillStats(&page->stats, seconds);
  FillRetention(&page->retention);
  FillClass(&page->classes[4], 64, seconds, 120000);
  FillClass(&page->classes[8], 128, seconds, 45000);
  FillClass(&page->classes[16], 256, seconds, 900);
  FillClass(&page->classes[32], 1024, seconds, 15);
  FillClass(&page->classes[72], 32768, seconds, 2);
  page->n_events = 400;
  for (unsigned i = 0; i < 6; i++) {
    FillEvent(&page->events[i], 395 + i, 5000 * kSecond - (6 - i) * 130 * 1000 * 1000);
  }
}

Publisher::Publisher(const Flaws& flaws) : bytes_(flaws.bytes) {
  fd_ = memfd_create(HAK_SHARED_PAGE_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd_ < 0 || ftruncate(fd_, static_cast<off_t>(bytes_)) != 0) abort();
  if (flaws.is_sealed && fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) abort();
  // Mapped whole even if the file is shorter: what is beyond its end is not touched then.
  void* memory =
      mmap(nullptr, sizeof(hak_shared_page_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (memory == MAP_FAILED) abort();
  page_ = static_cast<hak_shared_page_t*>(memory);
  if (bytes_ >= sizeof(*page_)) Update(0);
}

Publisher::~Publisher() {
  munmap(page_, sizeof(*page_));
  close(fd_);
}

void Publisher::Update(unsigned seconds) {
  uint64_t sequence = hak_load_relaxed(&page_->sequence);
  hak_store_relaxed(&page_->sequence, sequence + 1);
  std::atomic_thread_fence(std::memory_order_release);
  FillPage(page_, seconds);
  hak_store_release(&page_->sequence, sequence + 2);
}

PublishingProcess::PublishingProcess(const std::function<void(Publisher&)>& spoil,
                                     unsigned pause_us) {
  int ready[2];
  char byte = 0;
  if (pipe2(ready, O_CLOEXEC) != 0) abort();
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "publisher");
    Publisher publisher;
    if (spoil) spoil(publisher);
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    for (unsigned seconds = 1;; seconds++) {
      usleep(pause_us);
      if (!spoil) publisher.Update(seconds);
    }
  }
  close(ready[1]);
  if (read(ready[0], &byte, 1) != 1) abort();
  close(ready[0]);
}

void PublishingProcess::End() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace haktop_testing
