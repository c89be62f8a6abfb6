// Memory by function over time.

#include "tools/hakprof/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct band {
  const char* name;
  double* held;  // by profile
  double most;
} band_t;

// What each function holds in each profile, by the innermost frames. False: the value is missing.
static bool add_bands(pf_request* request, const pf_profile* profiles, size_t count,
                      hp_map* bands) {
  for (size_t p = 0; p < count; p++) {
    int type = pf_need(request, &profiles[p], request->value);
    if (type == PF_NONE) return false;
    for (size_t i = 0; i < profiles[p].sample_count; i++) {
      const pf_sample* sample = &profiles[p].samples[i];
      if (sample->values[type] == 0) continue;
      const char* name = sample->frame_count > 0 ? sample->frames[0]->function->name : "(no stack)";
      band_t* band = hp_put(bands, name, sizeof(*band))->thing;
      if (band->held == NULL) *band = (band_t){name, hp_alloc(count * sizeof(double)), 0};
      band->held[p] += sample->values[type];
      band->most = fmax(band->most, band->held[p]);
    }
  }
  return true;
}

static int by_most(const void* a, const void* b) {
  double left = (*(band_t*const*)a)->most, right = (*(band_t*const*)b)->most;
  return left > right ? -1 : left < right;
}

hp_figure* pf_history(pf_request* request, const pf_profile* profiles, size_t count) {
  enum { BANDS_MAX = 7, NAME_COLUMNS = 36 };
  hp_map* bands = hp_map_new();
  if (!add_bands(request, profiles, count, bands)) return NULL;
  const pf_type* type = &profiles[0].types[pf_need(request, &profiles[0], request->value)];
  bool is_bytes = strcmp(type->unit, "bytes") == 0, has_times = true;
  for (size_t p = 0; p < count; p++) has_times &= !isnan(profiles[p].time_s);
  band_t** sorted = hp_alloc((bands->count + 1) * sizeof(*sorted));
  for (size_t i = 0; i < bands->count; i++) sorted[i] = bands->at[i]->thing;
  if (bands->count > 0) qsort(sorted, bands->count, sizeof(*sorted), by_most);
  band_t others = {"others", hp_alloc(count * sizeof(double)), 0};
  for (size_t i = BANDS_MAX; i < bands->count; i++) {
    for (size_t p = 0; p < count; p++) others.held[p] += sorted[i]->held[p];
  }
  size_t shown = bands->count < BANDS_MAX ? bands->count : BANDS_MAX;
  if (bands->count > BANDS_MAX) sorted[shown++] = &others;
  hp_figure* figure =
      hp_figure_new(HP_AREA, "profile-history", hp_format("%s by function", request->value));
  figure->x.title = has_times ? "seconds since the first profile" : "profile";
  figure->y.title = is_bytes ? "MiB" : type->unit;
  figure->caption = hp_format("%zu profiles, from %s on; of sampled allocations.", count,
                              pf_base_name(profiles[0].name));
  for (size_t i = 0; i < shown; i++) {
    hp_series* series = hp_series_add(figure, pf_fit(sorted[i]->name, NAME_COLUMNS), HP_PLAIN);
    for (size_t p = 0; p < count; p++) {
      double x = has_times ? profiles[p].time_s - profiles[0].time_s : (double)(p + 1);
      hp_point_add(series, x, sorted[i]->held[p] / (is_bytes ? 1 << 20 : 1));
    }
  }
  return figure;
}
