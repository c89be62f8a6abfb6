// Memory of the runs: what the kernel says of each process, in lines of a time series and their
// mean.

#include "tools/hakrun/run_memory.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/common/text_format.h"

// Resident and proportional bytes of a process, as the kernel sums them up. False when it is gone.
static bool read_memory(int pid, json_int_t* rss_bytes, json_int_t* pss_bytes) {
  char line[256];
  char* path = text_format("/proc/%d/smaps_rollup", pid);
  FILE* file = fopen(path, "re");
  int found = 0;
  long long kib;
  free(path);
  while (file != NULL && found < 2 && fgets(line, sizeof(line), file) != NULL) {
    if (sscanf(line, "Rss: %lld", &kib) == 1) *rss_bytes = kib << 10, found++;
    if (sscanf(line, "Pss: %lld", &kib) == 1) *pss_bytes = kib << 10, found++;
  }
  if (file != NULL) fclose(file);
  return found == 2;
}

void memory_take_samples(void* context) {
  const memory_sampling* self = context;
  for (size_t i = 0; i < self->count; i++) {
    finished_run* run = &self->runs[i];
    json_int_t rss;
    json_int_t pss;
    int pid = launched_pid(run->command.files[SCRATCH_END]);
    if (pid == 0 || !read_memory(pid, &rss, &pss)) continue;
    double t_ns = (process_now_s() - run->started_s) * 1e9;
    json_array_append_new(run->samples,
                          json_pack("{s:s, s:I, s:I, s:I}", "schema", "hakmem.sample.1", "t_ns",
                                    (json_int_t)t_ns, "rss_bytes", rss, "pss_bytes", pss));
  }
}

void memory_watch_rest(finished_run* run) {
  static const int kSeconds[] = {1, 5, 15};
  const double end_s = process_now_s();
  int pid = launched_pid(run->command.files[SCRATCH_END]);
  for (size_t i = 0; i < sizeof(kSeconds) / sizeof(kSeconds[0]); i++) {
    json_int_t rss;
    json_int_t pss;
    if (!process_sleep(end_s + kSeconds[i] - process_now_s())) return;
    if (pid != 0 && read_memory(pid, &rss, &pss)) run->left_bytes[i] = (double)rss;
  }
}

// What the run held on the mean over its time: the integral of the samples over it. NAN for too
// few.
static double mean_rss(const json_t* samples) {
  double sum = 0;
  size_t count = json_array_size(samples);
  if (count < 3) return NAN;
  for (size_t i = 1; i < count; i++) {
    const json_t* a = json_array_get(samples, i - 1);
    const json_t* b = json_array_get(samples, i);
    sum += (record_number(b, "t_ns") - record_number(a, "t_ns")) *
           (record_number(a, "rss_bytes") + record_number(b, "rss_bytes")) / 2;
  }
  return sum / (record_number(json_array_get(samples, count - 1), "t_ns") -
                record_number(json_array_get(samples, 0), "t_ns"));
}

// Adds them to what the workload wrote, unless it took samples itself.
void memory_add_samples(finished_run* run) {
  json_t* last = (json_t*)(uintptr_t)records_last(run->lines);
  double mean = mean_rss(run->samples);
  if (records_count(run->lines) < json_array_size(run->lines) || last == NULL) return;
  if (!isnan(mean)) json_object_set_new(last, "mean_rss_bytes", json_real(mean));
  json_array_extend(run->lines, run->samples);
}
