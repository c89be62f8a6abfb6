// `hakplot compare BASE NEW [FILES]`: pairs of groups, a table for each metric, warnings, a gate.

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/hakplot/locate.h"
#include "tools/hakplot/read.h"
#include "tools/hakplot/stats.h"
#include "tools/hakplot/verdict.h"

typedef struct pair {
  const char* title;
  const hp_group* base;
  const hp_group* now;
} pair;

typedef struct comparison {
  const hp_compare_options* options;
  hp_dataset data[2];  // base and new; the second is empty where both are phases of one dataset
  hp_cases cases[2];
  pair* pairs;
  size_t pair_count;
  size_t failed_files;
  size_t worse;      // pairs that lose more than the gate allows
  size_t undecided;  // pairs with too few runs for the gate
} comparison;

// ---- pairs ----

static void add_pair(comparison* all, const char* title, const hp_group* base,
                     const hp_group* now) {
  hp_arena* arena = &all->data[0].arena;
  all->pairs = hp_grow(arena, all->pairs, all->pair_count, sizeof(*all->pairs));
  all->pairs[all->pair_count++] = (pair){title, base, now};
}

static const hp_case* case_titled(const hp_cases* cases, const char* title) {
  for (size_t i = 0; i < cases->count; i++) {
    if (strcmp(cases->at[i].title, title) == 0) return &cases->at[i];
  }
  return NULL;
}

static bool is_same_text(const char* a, const char* b) {
  return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

// Two files: the same phase of the same case; where each side has one phase, their names may
// differ.
static void pair_files(comparison* all) {
  for (size_t i = 0; i < all->cases[0].count; i++) {
    const hp_case* base = &all->cases[0].at[i];
    const hp_case* now = case_titled(&all->cases[1], base->title);
    if (now == NULL) {
      fprintf(stderr, "hakplot: only the base has \"%s\"\n", base->title);
      continue;
    }
    bool is_single = base->group_count == 1 && now->group_count == 1;
    for (size_t b = 0; b < base->group_count; b++) {
      for (size_t n = 0; n < now->group_count; n++) {
        const hp_group* one = &base->groups[b];
        const hp_group* other = &now->groups[n];
        if (!is_single && !is_same_text(one->phase, other->phase)) continue;
        if (!is_single && base->group_count > 1 && !is_same_text(one->host, other->host)) continue;
        const char* title = is_single
                                ? base->title
                                : hp_format(&all->data[0].arena, "%s, %s", base->title, one->label);
        add_pair(all, title, one, other);
      }
    }
  }
  for (size_t i = 0; i < all->cases[1].count; i++) {
    if (case_titled(&all->cases[0], all->cases[1].at[i].title) == NULL) {
      fprintf(stderr, "hakplot: only the new has \"%s\"\n", all->cases[1].at[i].title);
    }
  }
}

// Two phases of one dataset, machine by machine.
static void pair_phases(comparison* all) {
  for (size_t i = 0; i < all->cases[0].count; i++) {
    const hp_case* one = &all->cases[0].at[i];
    for (size_t b = 0; b < one->group_count; b++) {
      for (size_t n = 0; n < one->group_count; n++) {
        const hp_group* base = &one->groups[b];
        const hp_group* now = &one->groups[n];
        if (!is_same_text(base->phase, all->options->base) || base->host != now->host) continue;
        if (!is_same_text(now->phase, all->options->now)) continue;
        const char* title = all->data[0].has_several_hosts
                                ? hp_format(&all->data[0].arena, "%s @ %.8s", one->title,
                                            base->host != NULL ? base->host : "unknown machine")
                                : one->title;
        add_pair(all, title, base, now);
      }
    }
  }
}

// ---- warnings ----

static const hp_row* first_row(const hp_group* group) {
  return group->run_count > 0 ? group->runs[0] : group->mean;
}

static void warn_differs(const pair* one, hp_field field, const char* what) {
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
    for (size_t i = 0; i < all->data[d].note_count; i++) {
      fprintf(stderr, "hakplot: warning: %s\n", all->data[d].notes[i]);
    }
  }
  for (size_t i = 0; i < all->pair_count; i++) {
    warn_differs(&all->pairs[i], HP_host_id, "the machine");
    warn_differs(&all->pairs[i], HP_host_kernel, "the kernel");
    warn_differs(&all->pairs[i], HP_build_mode, "the build mode");
    warn_differs(&all->pairs[i], HP_workload_sha256, "the workload's binary");
  }
}

// ---- tables ----

// Whether the gate counts this as a loss: told from noise and above what is allowed.
static void judge(comparison* all, const hp_metric* metric, const hp_comparison* result) {
  double limit = all->options->fail_above;
  if (isnan(limit)) return;
  double loss = (metric->is_better_larger ? 1 - result->ratio : result->ratio - 1) * 100;
  if (result->judgement == HP_DIFFERENT && loss > limit) all->worse++;
  if (result->judgement == HP_TOO_FEW) all->undecided++;
}

static const char* runs_text(hp_arena* arena, const hp_summary* base, const hp_summary* now) {
  return hp_format(arena, "%zu+%zu", base->count, now->count);
}

static void add_means(hp_table* table, const double* ratios, size_t count) {
  double mean = hp_geometric_mean(ratios, count);
  if (count < 2) return;
  hp_table_row* row = hp_table_row_add(table);
  row->cells[0] = "geometric mean";
  row->cells[3] = isnan(mean) ? "unknown" : hp_format(table->arena, "%+.1f %%", (mean - 1) * 100);
}

// Returns how many pairs both sides know the metric of.
static size_t print_metric(comparison* all, const hp_metric* metric) {
  hp_arena* arena = &all->data[0].arena;
  hp_table table = {.arena = arena};
  double* ratios = hp_alloc(arena, (all->pair_count + 1) * sizeof(*ratios));
  size_t known = 0;
  size_t tested = 0;
  table.title = hp_format(arena, "%s (%s is better)", metric->title,
                          metric->is_better_larger ? "more" : "less");
  hp_table_column(&table, "workload");
  hp_table_column(&table, hp_format(arena, "base: %s", all->options->base));
  hp_table_column(&table, hp_format(arena, "new: %s", all->options->now));
  hp_table_column(&table, "change");
  hp_table_column(&table, "p");
  hp_table_column(&table, "runs");
  for (size_t i = 0; i < all->pair_count; i++) {
    hp_summary base = hp_summarise(arena, all->pairs[i].base, metric);
    hp_summary now = hp_summarise(arena, all->pairs[i].now, metric);
    hp_comparison result = hp_compare_summaries(&base, &now);
    const char* remark = hp_judgement_remark(result.judgement);
    hp_table_row* row = hp_table_row_add(&table);
    row->cells[0] = all->pairs[i].title;
    row->cells[1] = hp_summary_text(arena, &base);
    row->cells[2] = hp_summary_text(arena, &now);
    row->cells[3] = hp_change_text(arena, &result);
    row->cells[4] = hp_p_text(arena, &result);
    row->cells[5] = runs_text(arena, &base, &now);
    if (remark != NULL) hp_table_footer(&table, remark);
    if (!isnan(result.p)) tested++;
    if (result.judgement == HP_UNKNOWN) continue;
    ratios[known++] = result.ratio;
    judge(all, metric, &result);
  }
  add_means(&table, ratios, known);
  if (tested >= 10) {
    hp_table_footer(&table, hp_format(arena,
                                      "%zu tests at 5 %%: about %.0f of them differ by chance "
                                      "where nothing did",
                                      tested, 0.05 * (double)tested));
  }
  if (known > 0) {
    hp_text text = {0};
    hp_table_text(&table, &text);
    fputs(text.data, stdout);
    putchar('\n');
    hp_text_free(&text);
  }
  return known;
}

// ---- the gate ----

static size_t new_failures(const comparison* all) {
  size_t count = 0;
  for (size_t i = 0; i < all->pair_count; i++) {
    if (all->pairs[i].now->failed > all->pairs[i].base->failed) count++;
  }
  return count;
}

static int gate(const comparison* all) {
  double limit = all->options->fail_above;
  size_t failures = new_failures(all);
  if (isnan(limit)) return 0;
  if (all->worse > 0) printf("gate: FAILED: %zu lose more than %g %%\n", all->worse, limit);
  if (failures > 0) printf("gate: FAILED: %zu have more failed runs than the base\n", failures);
  if (all->undecided > 0) {
    printf("gate: FAILED: %zu have too few runs to tell; record 6 or more on each side\n",
           all->undecided);
  }
  if (all->worse + failures + all->undecided > 0) return 1;
  printf("gate: passed: nothing loses more than %g %%\n", limit);
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
  const char* newest = hp_newest_results(&all->data[0].arena);
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
  size_t known = 0;
  const hp_metric* gated = options->metric != NULL ? options->metric : &kMetrics[HP_THROUGHPUT];
  for (size_t i = 0; i < HP_METRIC_COUNT; i++) {
    const hp_metric* metric = &kMetrics[i];
    if (options->metric != NULL && options->metric != metric) continue;
    // Time per operation is throughput by another name.
    if (options->metric == NULL && i == HP_TIME_PER_OP) continue;
    comparison before = *all;
    size_t both = print_metric(all, metric);
    if (metric == gated) {
      known = both;
    } else {
      all->worse = before.worse;
      all->undecided = before.undecided;
    }
  }
  if (known == 0 && !isnan(options->fail_above)) {
    fprintf(stderr, "hakplot: compare: no pair has %s on both sides\n", gated->name);
    return 2;
  }
  int status = gate(all);
  return all->failed_files > 0 ? 2 : status;
}

int hp_compare(const hp_compare_options* options) {
  comparison all = {.options = options};
  for (size_t i = 0; i < 2; i++) hp_dataset_init(&all.data[i]);
  int status = compare(&all);
  for (size_t i = 0; i < 2; i++) hp_dataset_free(&all.data[i]);
  return status;
}
