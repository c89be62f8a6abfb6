// `hakplot compare BASE NEW [FILES]`: pairs of groups, a table for each metric, warnings, a gate.

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/hakplot/figure.h"
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
  size_t missing;  // phases of the base that the new has not
  size_t failed_files;
} comparison;

// ---- pairs ----

static void add_pair(comparison* all, const char* title, const hp_group* base,
                     const hp_group* now) {
  hp_arena* arena = &all->data[0].arena;
  all->pairs = hp_grow(arena, all->pairs, all->pair_count, sizeof(*all->pairs));
  all->pairs[all->pair_count++] = (pair){title, base, now};
}

// The cases of one side by title; of namesakes the first.
typedef struct title_index {
  hp_map titles;
  const hp_case** first;
} title_index;

static title_index index_titles(hp_arena* arena, const hp_cases* cases) {
  title_index all = {0};
  for (size_t i = 0; i < cases->count; i++) {
    bool is_new;
    size_t at = hp_map_put(&all.titles, arena, cases->at[i].title, &is_new);
    if (!is_new) continue;
    all.first = hp_grow(arena, all.first, at, sizeof(*all.first));
    all.first[at] = &cases->at[i];
  }
  return all;
}

static const hp_case* case_titled(const title_index* all, const char* title) {
  size_t at = hp_map_get(&all->titles, title, SIZE_MAX);
  return at != SIZE_MAX ? all->first[at] : NULL;
}

static bool is_same_text(const char* a, const char* b) {
  return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void note_missing(comparison* all, const char* title, const char* label) {
  fprintf(stderr, "hakplot: only the base has \"%s%s%s\"\n", title, label[0] != '\0' ? ", " : "",
          label);
  all->missing++;
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
      const char* title = is_single
                              ? base->title
                              : hp_format(&all->data[0].arena, "%s, %s", base->title, one->label);
      add_pair(all, title, one, other);
      is_paired = true;
    }
    if (!is_paired) note_missing(all, base->title, one->label);
  }
}

static void pair_files(comparison* all) {
  title_index sides[2];
  for (size_t i = 0; i < 2; i++) {
    sides[i] = index_titles(&all->data[i].arena, &all->cases[i]);
  }
  for (size_t i = 0; i < all->cases[0].count; i++) {
    const hp_case* base = &all->cases[0].at[i];
    const hp_case* now = case_titled(&sides[1], base->title);
    if (now != NULL) {
      pair_case(all, base, now);
    } else {
      note_missing(all, base->title, "");
    }
  }
  for (size_t i = 0; i < all->cases[1].count; i++) {
    if (case_titled(&sides[0], all->cases[1].at[i].title) == NULL) {
      fprintf(stderr, "hakplot: only the new has \"%s\"\n", all->cases[1].at[i].title);
    }
  }
  for (size_t i = 0; i < 2; i++) hp_map_free(&sides[i].titles);
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
        note_missing(all, one->title, base->label);
        continue;
      }
      const char* title = all->data[0].has_several_hosts
                              ? hp_format(&all->data[0].arena, "%s @ %.8s", one->title,
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
    warn_differs(&all->pairs[i], HP_host_governor, "the governor");
    warn_differs(&all->pairs[i], HP_host_thp, "the use of huge pages");
    warn_differs(&all->pairs[i], HP_build_mode, "the build mode");
    warn_differs(&all->pairs[i], HP_workload_sha256, "the workload's binary");
  }
}

// ---- tables ----

static void add_mean(hp_table* table, const double* ratios, size_t count) {
  double mean = hp_geometric_mean(ratios, count);
  if (count < 2) return;
  hp_table_row* row = hp_table_row_add(table);
  row->cells[0] = "geometric mean";
  row->cells[3] =
      isfinite(mean) ? hp_format(table->arena, "%+.1f %%", (mean - 1) * 100) : "unknown";
}

static void add_columns(hp_table* table, const hp_compare_options* options) {
  hp_table_column(table, "workload");
  hp_table_column(table, hp_format(table->arena, "base: %s", options->base));
  hp_table_column(table, hp_format(table->arena, "new: %s", options->now));
  hp_table_column(table, "change");
  hp_table_column(table, "p");
  hp_table_column(table, "runs");
}

static void add_row(hp_table* table, const char* title, const hp_summary* base,
                    const hp_summary* now, const hp_comparison* result) {
  hp_arena* arena = table->arena;
  const char* remark = hp_judgement_remark(result->judgement);
  hp_table_row* row = hp_table_row_add(table);
  row->cells[0] = title;
  row->cells[1] = hp_summary_text(arena, base);
  row->cells[2] = hp_summary_text(arena, now);
  row->cells[3] = hp_change_text(arena, result);
  row->cells[4] = hp_p_text(arena, result);
  row->cells[5] = hp_format(arena, "%zu+%zu", base->count, now->count);
  if (remark != NULL) hp_table_footer(table, remark);
}

// The numbers behind the tables, for other programs.
static const char kCsvHeader[] =
    "metric,unit,workload,base,base_low,base_high,base_runs,new,new_low,new_high,new_runs,ratio,"
    "p\n";

static void put_csv_number(hp_text* csv, double value) {
  hp_puts(csv, ",");
  if (isfinite(value)) hp_printf(csv, "%.10g", value);
}

static void put_csv_side(hp_text* csv, const hp_summary* side) {
  put_csv_number(csv, side->centre);
  put_csv_number(csv, side->low);
  put_csv_number(csv, side->high);
  hp_printf(csv, ",%zu", side->count);
}

static void put_csv_row(hp_text* csv, const hp_metric* metric, const char* title,
                        const hp_summary* base, const hp_summary* now,
                        const hp_comparison* result) {
  hp_printf(csv, "%s,%s,", metric->name, metric->unit);
  hp_put_csv(csv, title);
  put_csv_side(csv, base);
  put_csv_side(csv, now);
  put_csv_number(csv, result->ratio);
  put_csv_number(csv, result->p);
  hp_puts(csv, "\n");
}

static void print_table(const comparison* all, const hp_table* table, const hp_text* csv) {
  hp_text text = {0};
  if (all->options->format == HP_AS_TEXT) hp_table_text(table, hp_terminal_columns(), &text);
  if (all->options->format == HP_AS_MARKDOWN) hp_table_markdown(table, &text);
  if (all->options->format == HP_AS_CSV) {
    fputs(csv->data, stdout);
  } else {
    printf("%s\n", text.data);
  }
  hp_text_free(&text);
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
  hp_text csv = {0};
  add_columns(&table, all->options);
  for (size_t i = 0; i < all->pair_count; i++) {
    hp_summary base = hp_summarise(arena, all->pairs[i].base, metric);
    hp_summary now = hp_summarise(arena, all->pairs[i].now, metric);
    hp_comparison result = hp_compare_summaries(&base, &now);
    add_row(&table, all->pairs[i].title, &base, &now, &result);
    put_csv_row(&csv, metric, all->pairs[i].title, &base, &now, &result);
    if (!isnan(result.p)) tested++;
    if (result.judgement != HP_UNKNOWN) ratios[known++] = result.ratio;
  }
  add_mean(&table, ratios, known);
  if (tested >= 10) {
    hp_table_footer(&table, hp_format(arena,
                                      "%zu tests at 5 %%: about %.0f of them differ by chance "
                                      "where nothing did",
                                      tested, 0.05 * (double)tested));
  }
  if (known > 0) print_table(all, &table, &csv);
  hp_text_free(&csv);
  return known;
}

// ---- the gate ----

// Why pairs do not pass.
typedef struct faults {
  size_t worse;      // told from noise, and by more than is allowed
  size_t undecided;  // too few runs to tell
  size_t unknown;    // the base knows the metric, the new does not
  size_t failing;    // more failed runs than the base
} faults;

static faults find_faults(comparison* all, const hp_metric* metric) {
  hp_arena* arena = &all->data[0].arena;
  faults found = {0};
  for (size_t i = 0; i < all->pair_count; i++) {
    const pair* one = &all->pairs[i];
    hp_summary base = hp_summarise(arena, one->base, metric);
    hp_summary now = hp_summarise(arena, one->now, metric);
    hp_comparison result = hp_compare_summaries(&base, &now);
    double loss = (metric->is_better_larger ? 1 - result.ratio : result.ratio - 1) * 100;
    if (result.judgement == HP_DIFFERENT && loss > all->options->fail_above) found.worse++;
    if (result.judgement == HP_TOO_FEW) found.undecided++;
    if (isnan(now.centre) && !isnan(base.centre)) found.unknown++;
    if (one->now->failed > one->base->failed) found.failing++;
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
  if (all->missing > 0) fprintf(to, "gate: FAILED: %zu of the base are missing\n", all->missing);
  if (found.worse + found.failing + found.undecided + found.unknown + all->missing > 0) return 1;
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
  const hp_metric* gated = options->metric != NULL ? options->metric : &kMetrics[HP_THROUGHPUT];
  bool is_gate = !isnan(options->fail_above);
  if (options->format == HP_AS_CSV) fputs(kCsvHeader, stdout);
  size_t known = 0;
  size_t known_gated = 0;
  for (size_t i = 0; i < HP_METRIC_COUNT; i++) {
    const hp_metric* metric = &kMetrics[i];
    if (options->metric != NULL && options->metric != metric) continue;
    // Time per operation is throughput by another name.
    if (options->metric == NULL && i == HP_TIME_PER_OP) continue;
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
  for (size_t i = 0; i < 2; i++) hp_dataset_free(&all.data[i]);
  return status;
}
