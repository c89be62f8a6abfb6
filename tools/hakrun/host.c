// The host's name, processor, caches and kernel, and the checkout's commit, as keys of a record.

#include "tools/hakrun/host.h"

#include <math.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tools/common/places.h"
#include "tools/common/text_format.h"
#include "tools/hakrun/process.h"

// The first line of a file, without its newline. False when it cannot be read.
static bool read_first_line(const char* path, char* line, size_t bytes) {
  FILE* file = fopen(path, "re");
  if (file == NULL) return false;
  bool is_read = fgets(line, (int)bytes, file) != NULL;
  fclose(file);
  if (is_read) line[strcspn(line, "\n")] = '\0';
  return is_read;
}

// NULL where the file cannot be read, which jansson packs as null.
static json_t* first_line(const char* path) {
  char line[512];
  return read_first_line(path, line, sizeof(line)) ? json_string(line) : NULL;
}

static json_t* processor_name(void) {
  FILE* file = fopen("/proc/cpuinfo", "re");
  char line[512];
  char name[512];
  json_t* found = NULL;
  while (file != NULL && found == NULL && fgets(line, sizeof(line), file) != NULL) {
    if (sscanf(line, "model name : %511[^\n]", name) == 1) found = json_string(name);
  }
  if (file != NULL) fclose(file);
  return found;
}

// The size of processor 0's cache of this level that holds data: "48K" or "32M", in bytes.
static json_t* cache_bytes(char level) {
  for (int i = 0; i < 16; i++) {
    char path[128];
    char text[64];
    int end =
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/level", i) - 5;
    if (!read_first_line(path, text, sizeof(text))) break;
    if (text[0] != level) continue;
    strcpy(path + end, "type");
    if (!read_first_line(path, text, sizeof(text)) || strcmp(text, "Instruction") == 0) continue;
    strcpy(path + end, "size");
    long long size = 0;
    char unit = ' ';
    if (!read_first_line(path, text, sizeof(text)) || sscanf(text, "%lld%c", &size, &unit) < 1)
      break;
    const long long bytes = unit == ' '   ? size
                            : unit == 'K' ? size << 10
                            : unit == 'M' ? size << 20
                                          : 0;
    return bytes > 0 ? json_integer(bytes) : NULL;
  }
  return NULL;
}

// The chosen word of "always [madvise] never".
static json_t* huge_page_mode(void) {
  char line[128];
  char* word = NULL;
  if (read_first_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof(line))) {
    word = strchr(line, '[');
  }
  return word != NULL ? json_stringn(word + 1, strcspn(word + 1, "]")) : NULL;
}

// A hash of what makes this machine this one; its name cannot be read out of it.
static json_t* machine_id(json_t* host) {
  char hex[SHA256_DIGEST_STRING_LENGTH];
  char machine[128] = "";
  char* facts = json_dumps(host, JSON_COMPACT | JSON_SORT_KEYS);
  read_first_line("/etc/machine-id", machine, sizeof(machine));
  char* identity = text_format("%s %s", machine, facts != NULL ? facts : "");
  SHA256Data((const uint8_t*)identity, strlen(identity), hex);
  free(identity);
  free(facts);
  return json_stringn(hex, 12);
}

static json_t* describe_checkout(void) {
  char* root = places_checkout();
  char commit[128];
  char status[4096];
  const char* const ask_commit[] = {"git",  "-c", "safe.directory=*", "-C", root, "rev-parse",
                                    "HEAD", NULL};
  const char* const ask_status[] = {"git", "-c",     "safe.directory=*", "-C",
                                    root,  "status", "--porcelain",      NULL};
  bool is_known = root != NULL && process_capture(ask_commit, commit, sizeof(commit));
  bool is_dirty_known = is_known && process_capture(ask_status, status, sizeof(status));
  free(root);
  return json_pack("{s:s?, s:o?}", "commit", is_known ? commit : NULL, "dirty",
                   is_dirty_known ? json_boolean(status[0] != '\0') : NULL);
}

double host_steal_s(void) {
  char line[512];
  unsigned long long ticks;  // of all processors
  // "cpu", then user, nice, system, idle, iowait, irq, softirq, steal.
  if (!read_first_line("/proc/stat", line, sizeof(line)) ||
      sscanf(line, "cpu %*u %*u %*u %*u %*u %*u %*u %llu", &ticks) != 1) {
    return NAN;
  }
  return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

json_t* host_describe(void) {
  struct utsname system;
  json_t* host =
      json_pack("{s:o?, s:I, s:o?, s:o?, s:o?}", "host_cpu", processor_name(), "host_cores",
                (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "host_l1d_bytes", cache_bytes('1'),
                "host_l2_bytes", cache_bytes('2'), "host_l3_bytes", cache_bytes('3'));
  json_t* more = json_pack("{s:o, s:s?, s:o?, s:o?}", "host_id", machine_id(host), "host_kernel",
                           uname(&system) == 0 ? system.release : NULL, "host_thp",
                           huge_page_mode(), "host_governor",
                           first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
  json_t* checkout = describe_checkout();
  json_object_update(host, more);
  json_object_update(host, checkout);
  json_decref(more);
  json_decref(checkout);
  return host;
}
