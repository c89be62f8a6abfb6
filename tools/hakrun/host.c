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

static json_t* text_or_null(bool is_known, const char* text) {
  return is_known ? json_string(text) : json_null();
}

static json_t* processor_name(void) {
  FILE* file = fopen("/proc/cpuinfo", "re");
  char line[512];
  json_t* name = NULL;
  if (file == NULL) return json_null();
  while (name == NULL && fgets(line, sizeof(line), file) != NULL) {
    char* colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || colon == NULL) continue;
    line[strcspn(line, "\n")] = '\0';
    name = json_string(colon + 1 + strspn(colon + 1, " \t"));
  }
  fclose(file);
  return name != NULL ? name : json_null();
}

// "48K" or "32M" in bytes; 0 when it is neither.
static json_int_t parse_cache_size(const char* text) {
  char* end;
  json_int_t number = strtoll(text, &end, 10);
  switch (*end) {
    case 'K':
      return number << 10;
    case 'M':
      return number << 20;
    case '\0':
      return number;
    default:
      return 0;
  }
}

// The size of processor 0's cache of this level that holds data.
static json_t* cache_bytes(char level) {
  for (int i = 0; i < 16; i++) {
    char path[128];
    char text[64];
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/level", i);
    if (!read_first_line(path, text, sizeof(text))) break;
    if (text[0] != level) continue;
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/type", i);
    if (!read_first_line(path, text, sizeof(text)) || strcmp(text, "Instruction") == 0) continue;
    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu0/cache/index%d/size", i);
    if (!read_first_line(path, text, sizeof(text))) break;
    json_int_t bytes = parse_cache_size(text);
    return bytes > 0 ? json_integer(bytes) : json_null();
  }
  return json_null();
}

// The chosen word of "always [madvise] never".
static json_t* huge_page_mode(void) {
  char line[128];
  if (!read_first_line("/sys/kernel/mm/transparent_hugepage/enabled", line, sizeof(line))) {
    return json_null();
  }
  char* word = strchr(line, '[');
  if (word == NULL) return json_null();
  return json_stringn(word + 1, strcspn(word + 1, "]"));
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

static void describe_checkout(json_t* host) {
  char* root = places_checkout();
  char commit[128];
  char status[4096];
  const char* const ask_commit[] = {"git",  "-c", "safe.directory=*", "-C", root, "rev-parse",
                                    "HEAD", NULL};
  const char* const ask_status[] = {"git", "-c",     "safe.directory=*", "-C",
                                    root,  "status", "--porcelain",      NULL};
  bool is_known = root != NULL && process_capture(ask_commit, commit, sizeof(commit));
  json_object_set_new(host, "commit", text_or_null(is_known, commit));
  is_known = is_known && process_capture(ask_status, status, sizeof(status));
  json_object_set_new(host, "dirty", is_known ? json_boolean(status[0] != '\0') : json_null());
  free(root);
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
  char governor[64];
  json_t* host = json_object();
  json_object_set_new(host, "host_cpu", processor_name());
  json_object_set_new(host, "host_cores", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
  json_object_set_new(host, "host_l1d_bytes", cache_bytes('1'));
  json_object_set_new(host, "host_l2_bytes", cache_bytes('2'));
  json_object_set_new(host, "host_l3_bytes", cache_bytes('3'));
  json_object_set_new(host, "host_id", machine_id(host));
  json_object_set_new(host, "host_kernel", text_or_null(uname(&system) == 0, system.release));
  json_object_set_new(host, "host_thp", huge_page_mode());
  json_object_set_new(
      host, "host_governor",
      text_or_null(read_first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
                                   governor, sizeof(governor)),
                   governor));
  describe_checkout(host);
  return host;
}
