// libFuzzer's entry: any bytes as a profile, through the decoder, every report and both pictures,
// all but the names of addresses. See fuzz_test.sh.

extern "C" {
#include "tools/hakprof/flame.h"
#include "tools/hakprof/reports.h"
}

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>

namespace {

const char* const kValues[] = {"inuse_space", "inuse_objects", "alloc_space", "peak_space"};

void Report(pf_profile* profile, FILE* out) {
  for (pf_report* report :
       {pf_report_top, pf_report_tree, pf_report_leaks, pf_report_diff, pf_report_lifetimes}) {
    for (const char* value : kValues) {
      pf_request request = {profile, profile, value, 6, nullptr};
      pf_listing listing;
      if (!report(&request, &listing)) continue;
      pf_listing_text(&listing, 80, out);
      pf_listing_json(&listing, out);
    }
  }
}

void Draw(pf_profile* profile, FILE* out) {
  for (const char* value : kValues) {
    pf_request request = {profile, nullptr, value, 6, nullptr};
    if (!pf_write_folded(&request, out)) continue;
    pf_node root = {};
    pf_tree_add(&root, profile, pf_type_named(profile, value), false);
    pf_tree_add(&root, profile, pf_type_named(profile, value), true);
    pf_tree_sort(&root);
    pf_flame flame = {"fuzzed", "bytes", value == kValues[0]};
    if (root.value > 0) pf_flame_html(&flame, &root, out);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* content, size_t size) {
  pf_profile profile = {};
  profile.name = "fuzzed";
  if (pf_decode(&profile, content, size) == nullptr) {
    pf_take_frames(&profile, [](const char* name) { return name[0] == 'm'; });
    char* text = nullptr;
    size_t length = 0;
    FILE* out = open_memstream(&text, &length);
    Report(&profile, out);
    Draw(&profile, out);
    fclose(out);
    free(text);
  }
  hp_free_all();
  return 0;
}
