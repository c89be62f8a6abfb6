// `hakplot compare BASE NEW [FILES]`: reads both sides, pairs their groups, warns, prints and is a
// gate.

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/common/statistics.h"
#include "tools/hakplot/figure.h"
#include "tools/hakplot/locate.h"
#include "tools/hakplot/read.h"
#include "tools/hakplot/verdict.h"

typedef struct hp_pair {
  const char* title;
  const hp_group* base;
  const hp_group* now;
} hp_pair;

typedef struct comparison {
  const hp_compare_options* options;
  hp_dataset data[2];  // base and new; the second is empty where both are phases of one dataset
  hp_cases cases[2];
  hp_pair* pairs;
  size_t pair_count;
  const hp_group** missing;  // phases of the base that the new has not
  size_t missing_count;
  size_t failed_files;
} comparison;

// ---- pairs ----

static void add_pair(comparison* all, const char* title, const hp_group* base,
                     const hp_group* now) {
  *hp_push(all->pairs, all->pair_count) = (hp_pair){title, base, now};
}

// The cases of one side by title; of namesakes the first.
static hp_map* index_titles(hp_cases* cases) {
  hp_map* titles = hp_map_new();
  for (size_t i = 0; i < cases->count; i++) {
    hp_entry* title = hp_put(titles, cases->at[i].title, 0);
    if (title->puts == 1) title->thing = &cases->at[i];
  }
  return titles;
}

static bool is_same_text(const char* a, const char* b) {
  return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void note_missing(comparison* all, const hp_case* one, const hp_group* base) {
  fprintf(stderr, "hakplot: only the base has \"%s, %s\"\n", one->title, base->label);
  *hp_push(all->missing, all->missing_count) = base;
}

// The same phase of the same case; where each side has one phase, their names may differ.
static void pair_case(comparison* all, const hp_case* base, const hp_case* now) {
  bool is_single = base->group_count == 1 && now->group_count == 1;
  for (size_t b = 0; b < base->group_count; b++) {
    const hp_group* one = &base->groups[b];
    bool is_paired = false;
    for (size_t n = 0; n < now->group_count; n++) {
      const hp_group* other = &now->groups[n];
      if (!is_single && !is_same_text(one->phase, other->phase)) continue;
      if (!is_single && base->group_count > 1 && !is_same_text(one->host, other->host)) continue;
      const char* title = is_single ? base->title : hp_format("%s, %s", base->title, one->label);
      add_pair(all, title, one, other);
      is_paired = true;
    }
    if (!is_paired) note_missing(all, base, one);
  }
}

static void pair_files(comparison* all) {
  const hp_map* base = index_titles(&all->cases[0]);
  const hp_map* now = index_titles(&all->cases[1]);
  for (size_t i = 0; i < all->cases[0].count; i++) {
    const hp_case* one = &all->cases[0].at[i];
    const hp_entry* other = hp_get(now, one->title);
    if (other != NULL) pair_case(all, one, other->thing);
    for (size_t g = 0; other == NULL && g < one->group_count; g++) {
      note_missing(all, one, &one->groups[g]);
    }
  }
  for (size_t i = 0; i < now->count; i++) {
    if (hp_get(base, now->at[i]->key) != NULL) continue;
    fprintf(stderr, "hakplot: only the new has \"%s\"\n", now->at[i]->key);
  }
}

// The same machine's run of the new phase.
static const hp_group* new_phase(const comparison* all, const hp_case* one, const hp_group* base) {
  for (size_t i = 0; i < one->group_count; i++) {
    const hp_group* now = &one->groups[i];
    if (is_same_text(now->phase, all->options->now) && now->host == base->host) return now;
  }
  return NULL;
}

// Two phases of one dataset, machine by machine.
static void pair_phases(comparison* all) {
  for (size_t i = 0; i < all->cases[0].count; i++) {
    const hp_case* one = &all->cases[0].at[i];
    for (size_t b = 0; b < one->group_count; b++) {
      const hp_group* base = &one->groups[b];
      if (!is_same_text(base->phase, all->options->base)) continue;
      const hp_group* now = new_phase(all, one, base);
      if (now == NULL) {
        note_missing(all, one, base);
        continue;
      }
      const char* title = all->data[0].has_several_hosts
                              ? hp_format("%s @ %.8s", one->title,
                                          base->host != NULL ? base->host : "unknown machine")
                              : one->title;
      add_pair(all, title, base, now);
    }
  }
}

// ---- warnings ----

static const hp_row* first_row(const hp_group* group) {
  return group->run_count > 0 ? group->runs[0] : group->mean;
}

static void warn_differs(const hp_pair* one, hp_field field, const char* what) {
  const hp_row* base = first_row(one->base);
  const hp_row* now = first_row(one->now);
  if (base == NULL || now == NULL) return;
  const char* a = hp_string(base, field);
  const char* b = hp_string(now, field);
  if (is_same_text(a, b)) return;
  fprintf(stderr, "hakplot: warning: %s: base and new differ in %s (%s, %s)\n", one->title, what,
          a != NULL ? a : "unknown", b != NULL ? b : "unknown");
}

static void warn(const comparison* all) {
  for (size_t d = 0; d < 2; d++) {
    for (size_t i = 0; i < all->data[d].notes->count; i++) {
      fprintf(stderr, "hakplot: warning: %s\n", all->data[d].notes->at[i]->key);
    }
  }
  for (size_t i = 0; i < all->pair_count; i++) {
    warn_differs(&all->pairs[i], HP_host_id, "the machine");
    warn_differs(&all->pairs[i], HP_host_kernel, "the kernel");
    warn_differs(&all->pairs[i], HP_host_governor, "the governor");
    warn_differs(&all->pairs[i], HP_host_thp, "the use of huge pages");
    warn_differs(&all->pairs[i], HP_build_mode, "the build mode");
    warn_differs(&all->pairs[i], HP_workload_sha256, "the workload's binary");
  }
}

// ---- what is printed ----

// Of all rows, and only where one of them differs: the mean of noise is noise.
static void add_mean(hp_table* table, const double* ratios, size_t count, size_t differing) {
  double mean = hp_geometric_mean(ratios, count);
  const char* text = differing == 0   ? "~"
                     : isfinite(mean) ? hp_format("%+.1f %%", (mean - 1) * 100)
                                      : "unknown";
  if (count >= 2) *hp_table_row_add(table) = (hp_table_row){{"geometric mean", "", "", text}};
}

static void add_row(hp_table* table, const hp_pair* pair, const hp_comparison* result) {
  *hp_table_row_add(table) = (hp_table_row){
      {pair->title, hp_summary_text(&result->base, 1), hp_summary_text(&result->now, 1),
       hp_change_text(result), hp_evidence_text(result),
       hp_format("%zu+%zu", pair->base->run_count, pair->now->run_count)}};
  hp_table_footer(table, hp_comparison_remark(result));
  if (pair->base->run_count > 0) hp_table_footer(table, hp_duet_remark(pair->base->runs[0]));
}

static void put_csv_side(const hp_summary* side) {
  hp_put_csv_number(stdout, side->centre);
  hp_put_csv_number(stdout, side->low);
  hp_put_csv_number(stdout, side->high);
  printf(",%zu", side->count);
}

static void put_csv_row(const hp_metric* metric, const hp_pair* pair, const hp_comparison* result) {
  const char* unit =
      pair->base->run_count > 0 ? hp_metric_unit(metric, pair->base->runs[0]) : metric->unit;
  printf("%s,%s,", metric->name, unit);
  hp_put_csv(stdout, pair->title);
  put_csv_side(&result->base);
  put_csv_side(&result->now);
  hp_put_csv_number(stdout, result->ratio);
  hp_put_csv_number(stdout, result->of.low);
  hp_put_csv_number(stdout, result->of.high);
  hp_put_csv_number(stdout, result->p);
  putchar('\n');
}

// Prints nothing where no pair knows the metric on both sides. Returns how many do.
static size_t print_metric(const comparison* all, const hp_metric* metric) {
  const hp_compare_options* options = all->options;
  const hp_pair* pairs = all->pairs;
  static const char* const kHeaders[] = {"workload", "base", "new", "change", "95 % or p", "runs"};
  hp_comparison* results = hp_alloc((all->pair_count + 1) * sizeof(*results));
  double* ratios = hp_alloc((all->pair_count + 1) * sizeof(*ratios));
  size_t known = 0;
  size_t tested = 0;
  size_t differing = 0;
  for (size_t i = 0; i < all->pair_count; i++) {
    results[i] = hp_compare_groups(pairs[i].base, pairs[i].now, metric);
    if (!isnan(results[i].p)) tested++;
    if (results[i].judgement == HP_DIFFERENT) differing++;
    if (results[i].judgement != HP_UNKNOWN) ratios[known++] = results[i].ratio;
  }
  if (known == 0) return 0;
  if (options->format == HP_AS_CSV) {
    for (size_t i = 0; i < all->pair_count; i++) put_csv_row(metric, &pairs[i], &results[i]);
    return known;
  }
  hp_table table = {0};
  table.title =
      hp_format("%s (%s is better)", metric->title, metric->is_better_larger ? "more" : "less");
  hp_table_footer(&table, hp_format("base: %s; new: %s", options->base, options->now));
  for (size_t i = 0; i < 6; i++) hp_table_column(&table, kHeaders[i]);
  for (size_t i = 0; i < all->pair_count; i++) add_row(&table, &pairs[i], &results[i]);
  add_mean(&table, ratios, known, differing);
  if (tested >= 10) {
    hp_table_footer(&table, hp_format("%zu tests at 5 %%: about %.0f of them differ by chance "
                                      "where nothing did",
                                      tested, 0.05 * (double)tested));
  }
  if (options->format == HP_AS_TEXT) hp_table_print(&table);
  if (options->format == HP_AS_MARKDOWN) hp_table_markdown(&table);
  return known;
}

// ---- the gate ----

// Why pairs do not pass.
typedef struct faults {
  size_t worse;      // told from noise, and by more than is allowed
  size_t undecided;  // too few runs to tell
  size_t unknown;    // the base knows the metric, the new does not
  size_t failing;    // more failed runs than the base
  size_t missing;    // of the base, in the new
} faults;

static faults find_faults(comparison* all, const hp_metric* metric) {
  faults found = {0};
  for (size_t i = 0; i < all->pair_count; i++) {
    const hp_pair* one = &all->pairs[i];
    hp_comparison result = hp_compare_groups(one->base, one->now, metric);
    double loss = (metric->is_better_larger ? 1 - result.ratio : result.ratio - 1) * 100;
    if (result.judgement == HP_DIFFERENT && loss > all->options->fail_above) found.worse++;
    if (result.judgement == HP_TOO_FEW) found.undecided++;
    if (isnan(result.now.centre) && !isnan(result.base.centre)) found.unknown++;
    if (one->now->failed > one->base->failed) found.failing++;
  }
  // What the base does not know of itself, nobody misses.
  for (size_t i = 0; i < all->missing_count; i++) {
    if (!isnan(hp_summarise(all->missing[i], metric).centre)) found.missing++;
  }
  return found;
}

static int gate(comparison* all, const hp_metric* metric) {
  // Beside tables for programs the verdict must not stand on stdout.
  FILE* to = all->options->format == HP_AS_TEXT ? stdout : stderr;
  double limit = all->options->fail_above;
  faults found = find_faults(all, metric);
  if (found.worse > 0) fprintf(to, "gate: FAILED: %zu lose more than %g %%\n", found.worse, limit);
  if (found.failing > 0)
    fprintf(to, "gate: FAILED: %zu have more failed runs than the base\n", found.failing);
  if (found.undecided > 0) {
    fprintf(to, "gate: FAILED: %zu have too few runs to tell; record 6 or more on each side\n",
            found.undecided);
  }
  if (found.unknown > 0)
    fprintf(to, "gate: FAILED: %zu do not say their %s any more\n", found.unknown, metric->name);
  if (found.missing > 0) fprintf(to, "gate: FAILED: %zu of the base are missing\n", found.missing);
  if (found.worse + found.failing + found.undecided + found.unknown + found.missing > 0) return 1;
  fprintf(to, "gate: passed: nothing loses more than %g %%\n", limit);
  return 0;
}

// ---- reading ----

// Whether it names something to read rather than a phase.
static bool is_path(const char* argument) {
  struct stat status;
  const char* equals = strchr(argument, '=');
  return stat(argument, &status) == 0 || (equals != NULL && stat(equals + 1, &status) == 0);
}

static bool read_sides(comparison* all, bool are_paths) {
  const hp_compare_options* options = all->options;
  if (are_paths) {
    all->failed_files += hp_read_argument(&all->data[0], options->base, options->keep_going);
    all->failed_files += hp_read_argument(&all->data[1], options->now, options->keep_going);
    return all->failed_files == 0 || options->keep_going;
  }
  for (size_t i = 0; i < options->file_count; i++) {
    all->failed_files += hp_read_argument(&all->data[0], options->files[i], options->keep_going);
    if (all->failed_files > 0 && !options->keep_going) return false;
  }
  if (options->file_count > 0) return true;
  const char* newest = hp_newest_results();
  if (newest == NULL) {
    fprintf(stderr, "hakplot: compare: \"%s\" is no file, and results/ holds none to find it in\n",
            options->base);
    return false;
  }
  fprintf(stderr, "hakplot: comparing phases of %s\n", newest);
  all->failed_files += hp_read_argument(&all->data[0], newest, false);
  return all->failed_files == 0;
}

static int compare(comparison* all) {
  const hp_compare_options* options = all->options;
  bool are_paths = is_path(options->base) && is_path(options->now) && options->file_count == 0;
  if (!read_sides(all, are_paths)) return 2;
  for (size_t i = 0; i < 2; i++) {
    hp_tell_files_apart(&all->data[i]);
    hp_assume_ops(&all->data[i], options->ops);
    all->cases[i] = hp_group_runs(&all->data[i]);
  }
  if (are_paths) {
    pair_files(all);
  } else {
    pair_phases(all);
  }
  if (all->pair_count == 0) {
    fprintf(stderr, "hakplot: compare: no workload has both \"%s\" and \"%s\"\n", options->base,
            options->now);
    return 2;
  }
  warn(all);
  const hp_metric* gated = options->metric != NULL ? options->metric : &kMetrics[HP_THROUGHPUT];
  bool is_gate = !isnan(options->fail_above);
  if (options->format == HP_AS_CSV) {
    puts(
        "metric,unit,workload,base,base_low,base_high,base_runs,new,new_low,new_high,new_runs,"
        "ratio,ratio_low,ratio_high,p");
  }
  size_t known = 0;
  size_t known_gated = 0;
  for (size_t i = 0; i < HP_METRIC_COUNT; i++) {
    const hp_metric* metric = &kMetrics[i];
    if (options->metric != NULL && options->metric != metric) continue;
    // Time per operation is throughput by another name, and steady throughput much the same.
    if (options->metric == NULL && (i == HP_TIME_PER_OP || i == HP_STEADY)) continue;
    size_t both = print_metric(all, metric);
    known += both;
    if (metric == gated) known_gated = both;
  }
  if (known == 0 || (is_gate && known_gated == 0)) {
    fprintf(stderr, "hakplot: compare: no pair has %s on both sides\n",
            is_gate || options->metric != NULL ? gated->name : "any metric");
    return 2;
  }
  int status = is_gate ? gate(all, gated) : 0;
  return all->failed_files > 0 ? 2 : status;
}

int hp_compare(const hp_compare_options* options) {
  comparison all = {.options = options};
  for (size_t i = 0; i < 2; i++) hp_dataset_init(&all.data[i]);
  int status = compare(&all);
  hp_free_all();
  return status;
}
