// The page: overview, verdict, pictures, environment, how to repeat.

#include "tools/hakplot/html_page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/hakplot/gnuplot.h"
#include "tools/hakplot/palette.h"
#include "tools/hakplot/verdict.h"

static const char kStyle[] =
    ":root{color-scheme:light dark;--ink:#1c1c1c;--soft:#5c5c5c;--paper:#fff;--line:#ddd;--shade:"
    "#f5f5f5;--link:#0b5cad}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--soft:#a8a8a8;--paper:#161618;--line:"
    "#3a3a3e;--shade:#222226;--link:#7db8f0}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:940px;padding:1.2rem 1rem 4rem;background:var(--paper);color:var("
    "--ink);font:16px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.6rem;margin:.2em 0}h2{font-size:1.25rem;margin:2.2em 0 .4em}h3{font-size:1rem;"
    "margin:1.4em 0 .4em;overflow-wrap:anywhere}\n"
    "a{color:var(--link)}.small,.files{color:var(--soft);font-size:.86rem;margin:.3em 0}\n"
    ".scroll{overflow-x:auto}\n"
    "table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.28em .7em;text-align:right;border-bottom:1px solid "
    "var(--line);white-space:nowrap"
    "}\n"
    "th:first-child{text-align:left}thead th{background:var(--shade)}tbody "
    "th{font-weight:600;white-"
    "space:normal;overflow-wrap:anywhere;min-width:9em}\n"
    ".facts td{text-align:left;white-space:normal;overflow-wrap:anywhere}\n"
    "figure{margin:0 0 1.6rem}figure svg{display:block;width:100%;min-width:600px;height:auto}\n"
    // gnuplot gives circles too thin a line.
    "figure svg defs circle{stroke-width:.4}\n"
    "figcaption{font-size:.92rem}\n"
    "pre{background:var(--shade);padding:.7em .9em;overflow-x:auto;font-size:.86rem}\n"
    ".notes{border-left:4px solid " HP_VERMILION
    ";padding:.2em 1em;background:var(--shade)}\n"
    "figure svg>g>rect:first-of-type{fill:none}\n"
    // An overview's cells: better, worse, and what cannot be told.
    ".better{background:" HP_BLUE "33}.worse{background:" HP_VERMILION
    "33}.unsure{color:var(--soft)}\n"
    "nav ul{columns:2;padding-left:1.2em;font-size:.9rem}\n"
    "@media(max-width:600px){nav ul{columns:1}th,td{padding:.2em .4em}}\n"
    // In the dark, light and dark of a picture change places, and its hues stay.
    "@media(prefers-color-scheme:dark){figure svg{filter:invert(.87) hue-rotate(180deg)}}\n";

static void put_element(hp_text* html, const char* tag, const char* text) {
  hp_printf(html, "<%s>", tag);
  hp_put_html(html, text);
  hp_printf(html, "</%s>\n", tag);
}

// ---- pictures ----

// After `id='`, `href='#` and `url(#` the prefix goes in.
void hp_put_inline_svg(hp_text* html, const char* svg, const char* prefix, const char* title) {
  static const char* const kBefore[] = {" id='", " id=\"", "href='#", "href=\"#", "url(#"};
  static const char kTitle[] = "<title>Gnuplot</title>";
  const char* at = strstr(svg, "<svg");
  if (at == NULL) return;
  while (*at != '\0') {
    size_t copied = 1;
    const char* inserted = "";
    for (size_t i = 0; i < sizeof(kBefore) / sizeof(kBefore[0]); i++) {
      size_t length = strlen(kBefore[i]);
      if (strncmp(at, kBefore[i], length) != 0) continue;
      copied = length;
      inserted = prefix;
    }
    if (strncmp(at, kTitle, sizeof(kTitle) - 1) == 0) {
      put_element(html, "title", title);
      at += sizeof(kTitle) - 1;
      continue;
    }
    hp_put(html, at, copied);
    hp_puts(html, inserted);
    at += copied;
  }
}

static void put_files(hp_text* html, const hp_page* page, const char* name) {
  static const struct {
    unsigned format;
    const char* ending;
  } kFiles[] = {{HP_SVG, "svg"}, {HP_PNG, "png"}, {HP_PDF, "pdf"}, {0, "gp"}, {0, "csv"}};
  hp_puts(html, "<p class=\"files\">Files:");
  for (size_t i = 0; i < sizeof(kFiles) / sizeof(kFiles[0]); i++) {
    if (kFiles[i].format != 0 && (page->formats & kFiles[i].format) == 0) continue;
    hp_printf(html, " <a href=\"%s.%s\">%s</a>", name, kFiles[i].ending,
              strcmp(kFiles[i].ending, "gp") == 0    ? "gnuplot script"
              : strcmp(kFiles[i].ending, "csv") == 0 ? "numbers (CSV)"
                                                     : kFiles[i].ending);
  }
  hp_puts(html, "</p>\n");
}

static void put_pictures(hp_text* html, const hp_page* page) {
  if (page->picture_count == 0) return;
  hp_puts(html, "<h2>Pictures</h2>\n");
  for (size_t i = 0; i < page->picture_count; i++) {
    const hp_picture* picture = &page->pictures[i];
    char prefix[24];
    snprintf(prefix, sizeof(prefix), "f%zu-", i + 1);
    hp_printf(html, "<figure id=\"%s\">\n<div class=\"scroll\">\n", picture->figure->name);
    if (picture->svg != NULL) {
      hp_put_inline_svg(html, picture->svg, prefix, picture->figure->title);
    } else {
      put_element(html, "p",
                  hp_format(picture->figure->arena, "%s: not drawn, gnuplot failed.",
                            picture->figure->title));
    }
    hp_puts(html, "</div>\n");
    put_element(html, "figcaption", picture->figure->about);
    put_files(html, page, picture->figure->name);
    hp_puts(html, "</figure>\n");
  }
}

// ---- environment ----

// Different texts, the first few of them. Texts of the dataset are interned: equal ones have equal
// addresses.
enum { TEXTS_MAX = 8 };

typedef struct texts {
  const char* at[TEXTS_MAX];
  size_t count;
  bool has_more;
} texts;

static void add_text(texts* all, const char* text) {
  if (text == NULL) return;
  for (size_t i = 0; i < all->count; i++) {
    if (all->at[i] == text) return;
  }
  all->has_more |= all->count == TEXTS_MAX;
  if (all->count < TEXTS_MAX) all->at[all->count++] = text;
}

static const char* join(hp_arena* arena, const texts* all) {
  const char* joined = "";
  for (size_t i = 0; i < all->count; i++) {
    joined = hp_format(arena, "%s%s%s", joined, i > 0 ? ", " : "", all->at[i]);
  }
  return all->has_more ? hp_format(arena, "%s, …", joined) : joined;
}

static texts texts_of_runs(const hp_page* page, hp_field field) {
  texts all = {0};
  for (size_t i = 0; i < page->data->row_count; i++) {
    const hp_row* row = &page->data->rows[i];
    if (row->kind == HP_RUN || row->kind == HP_MEAN) add_text(&all, hp_string(row, field));
  }
  return all;
}

// What is said of a machine or of a phase: some fields, gathered over its runs.
typedef struct fact_rule {
  hp_field field;
  const char* name;
} fact_rule;

static const fact_rule kMachineFacts[] = {
    {HP_host_cpu, "processor"},     {HP_host_kernel, "kernel"}, {HP_host_thp, "huge pages"},
    {HP_host_governor, "governor"}, {HP_source, "measured by"}, {HP_commit, "commit"}};
static const fact_rule kPhaseFacts[] = {
    {HP_allocator, "allocator"},      {HP_allocator_version, "version"},
    {HP_build_mode, "build"},         {HP_env, "environment"},
    {HP_allocator_path, "served by"}, {HP_allocator_sha256, "sha256"}};
enum { FACTS = 6 };

typedef struct subject {
  const char* name;
  const hp_row* first;
  texts facts[FACTS];
} subject;

typedef struct subjects {
  subject* at;
  size_t count;
  hp_map names;
} subjects;

static void add_facts(subjects* all, hp_arena* arena, const char* name, const hp_row* row,
                      const fact_rule* rules) {
  bool is_new;
  size_t at = hp_map_put(&all->names, arena, name != NULL ? name : "", &is_new);
  if (is_new) {
    all->at = hp_grow(arena, all->at, all->count, sizeof(*all->at));
    all->at[all->count++] = (subject){.name = name, .first = row};
  }
  for (size_t i = 0; i < FACTS; i++) {
    add_text(&all->at[at].facts[i], hp_string(row, rules[i].field));
  }
}

// Leaves out what is not known.
static void put_fact(hp_text* html, const char* name, const char* value) {
  if (value[0] == '\0') return;
  hp_puts(html, "<tr><th scope=\"row\">");
  hp_put_html(html, name);
  hp_puts(html, "</th><td>");
  hp_put_html(html, value);
  hp_puts(html, "</td></tr>\n");
}

static void put_cache(hp_text* text, hp_arena* arena, const char* name, double bytes) {
  if (isnan(bytes)) return;
  hp_printf(text, "%s%s %s", text->size > 0 ? ", " : "", name, hp_size_text(arena, bytes));
}

static void put_machine(hp_text* html, hp_arena* arena, const subject* machine) {
  const hp_row* row = machine->first;
  double cores = hp_number(row, HP_host_cores);
  hp_text caches = {0};
  hp_puts(&caches, "");
  put_cache(&caches, arena, "L1 data", hp_number(row, HP_host_l1d_bytes));
  put_cache(&caches, arena, "L2", hp_number(row, HP_host_l2_bytes));
  put_cache(&caches, arena, "L3", hp_number(row, HP_host_l3_bytes));
  hp_puts(html, "<div class=\"scroll\"><table class=\"facts\"><tbody>\n");
  put_fact(html, "machine", machine->name != NULL ? machine->name : "not named by the records");
  put_fact(html, "processors", isnan(cores) ? "" : hp_number_text(arena, cores, 1));
  put_fact(html, "caches", caches.data);
  for (size_t i = 0; i < FACTS; i++) {
    put_fact(html, kMachineFacts[i].name, join(arena, &machine->facts[i]));
  }
  hp_puts(html, "</tbody></table></div>\n");
  hp_text_free(&caches);
}

static void put_phases(hp_text* html, hp_arena* arena, const subjects* phases) {
  hp_table table = {.arena = arena, .title = "Phases"};
  hp_table_column(&table, "phase");
  for (size_t i = 0; i < FACTS; i++) hp_table_column(&table, kPhaseFacts[i].name);
  for (size_t p = 0; p < phases->count; p++) {
    if (phases->at[p].name == NULL) continue;
    hp_table_row* row = hp_table_row_add(&table);
    row->cells[0] = phases->at[p].name;
    for (size_t i = 0; i < FACTS; i++) {
      const char* text = join(arena, &phases->at[p].facts[i]);
      bool is_hash = kPhaseFacts[i].field == HP_allocator_sha256;
      row->cells[i + 1] = is_hash ? hp_format(arena, "%.12s", text) : text;
    }
  }
  hp_table_html(&table, html);
}

static void put_environment(hp_text* html, const hp_page* page) {
  hp_arena* arena = &page->data->arena;
  subjects machines = {0};
  subjects phases = {0};
  for (size_t i = 0; i < page->data->row_count; i++) {
    const hp_row* row = &page->data->rows[i];
    if (row->kind != HP_RUN && row->kind != HP_MEAN) continue;
    add_facts(&machines, arena, hp_string(row, HP_host_id), row, kMachineFacts);
    add_facts(&phases, arena, hp_string(row, HP_phase), row, kPhaseFacts);
  }
  hp_puts(html, "<h2 id=\"environment\">Environment</h2>\n");
  for (size_t i = 0; i < machines.count; i++) put_machine(html, arena, &machines.at[i]);
  put_phases(html, arena, &phases);
  hp_map_free(&machines.names);
  hp_map_free(&phases.names);
}

// ---- how to repeat ----

static void put_repeat(hp_text* html, const hp_page* page) {
  texts experiments = texts_of_runs(page, HP_experiment);
  hp_puts(html, "<h2>How to repeat</h2>\n<p>These tables and pictures:</p>\n<pre>");
  hp_put_html(html, page->command);
  hp_puts(html, "</pre>\n");
  if (experiments.count > 0) hp_puts(html, "<p>The runs:</p>\n<pre>");
  for (size_t i = 0; i < experiments.count; i++) {
    hp_put_html(html, page->run_command);
    hp_puts(html, " ");
    hp_put_html(html, experiments.at[i]);
    hp_puts(html, "\n");
  }
  if (experiments.count > 0) hp_puts(html, "</pre>\n");
  hp_puts(html,
          "<p>One picture, after changing its script: <code>gnuplot NAME.gp</code></p>\n"
          "<p class=\"small\">Read from: ");
  for (size_t i = 0; i < page->data->file_count; i++) {
    if (i > 0) hp_puts(html, ", ");
    if (i == 40) {
      hp_printf(html, "and %zu more", page->data->file_count - i);
      break;
    }
    hp_put_html(html, page->data->files[i]);
  }
  hp_puts(html, "</p>\n");
}

// ---- overview ----

// The cell of a phase in the row of a workload.
static void put_ratio(hp_text* html, hp_arena* arena, const hp_case* one, const char* phase) {
  const hp_metric* metric = hp_main_metric(arena, one);
  for (size_t g = 0; g < one->group_count; g++) {
    const hp_group* group = &one->groups[g];
    if (strcmp(group->label, phase) != 0) continue;
    if (group->baseline == group) {
      hp_summary summary = hp_summarise(arena, group, metric);
      hp_unit unit = hp_unit_of(arena, one, metric);
      hp_printf(html, "<td>%s %s</td>", hp_number_text(arena, summary.centre * unit.factor, 3),
                unit.name);
      return;
    }
    if (group->baseline == NULL) break;
    hp_comparison ratio = hp_compare_groups(arena, group->baseline, group, metric);
    bool is_told = ratio.judgement == HP_DIFFERENT;
    bool is_better = (ratio.ratio > 1) == metric->is_better_larger;
    hp_printf(html, "<td class=\"%s\">%s</td>",
              !is_told    ? "unsure"
              : is_better ? "better"
                          : "worse",
              hp_change_text(arena, &ratio));
    return;
  }
  hp_puts(html, "<td></td>");
}

// Workloads by phases, where there are several of both.
static void put_overview(hp_text* html, const hp_page* page) {
  hp_arena* arena = &page->data->arena;
  hp_map phases = {0};
  size_t rows = 0;
  bool is_new;
  for (size_t i = 0; i < page->table_count; i++) {
    const hp_case* one = &page->cases->at[i];
    if (page->tables[i]->is_detail) continue;
    rows++;
    for (size_t g = 0; g < one->group_count; g++) {
      hp_map_put(&phases, arena, one->groups[g].label, &is_new);
    }
  }
  if (rows > 1 && phases.count > 1) {
    hp_puts(html,
            "<h2 id=\"overview\">Overview</h2>\n<div class=\"scroll\"><table><thead><tr>"
            "<th scope=\"col\">workload</th>");
    for (size_t p = 0; p < phases.count; p++) {
      hp_puts(html, "<th scope=\"col\">");
      hp_put_html(html, phases.keys[p]);
      hp_puts(html, "</th>");
    }
    hp_puts(html, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < page->table_count; i++) {
      if (page->tables[i]->is_detail) continue;
      hp_puts(html, "<tr><th scope=\"row\">");
      hp_put_html(html, page->cases->at[i].title);
      hp_puts(html, "</th>");
      for (size_t p = 0; p < phases.count; p++) {
        put_ratio(html, arena, &page->cases->at[i], phases.keys[p]);
      }
      hp_puts(html, "</tr>\n");
    }
    hp_puts(html,
            "</tbody></table></div>\n<p class=\"small\">Each phase against the baseline of its "
            "row, which stands with its own figure. Blue: better; orange: worse; grey: no "
            "difference can be told, or too few runs.</p>\n");
  }
  hp_map_free(&phases);
}

static void put_contents(hp_text* html, const hp_page* page) {
  if (page->picture_count < 2) return;
  hp_puts(html, "<nav><h2>Contents</h2>\n<ul>\n<li><a href=\"#verdict\">Verdict</a></li>\n");
  for (size_t i = 0; i < page->picture_count; i++) {
    const hp_figure* figure = page->pictures[i].figure;
    hp_printf(html, "<li><a href=\"#%s\">", figure->name);
    hp_put_html(html, figure->title);
    hp_puts(html, "</a></li>\n");
  }
  hp_puts(html, "<li><a href=\"#environment\">Environment</a></li>\n</ul></nav>\n");
}

static void put_tables(hp_text* html, const hp_page* page) {
  size_t details = 0;
  for (size_t i = 0; i < page->table_count; i++) {
    if (page->tables[i]->is_detail) details++;
    if (!page->tables[i]->is_detail) hp_table_html(page->tables[i], html);
  }
  if (details == 0) return;
  hp_printf(html, "<details><summary>%zu more: points of sweeps, limits, latency runs</summary>\n",
            details);
  for (size_t i = 0; i < page->table_count; i++) {
    if (page->tables[i]->is_detail) hp_table_html(page->tables[i], html);
  }
  hp_puts(html, "</details>\n");
}

void hp_page_html(const hp_page* page, hp_text* html) {
  texts titles = texts_of_runs(page, HP_title);
  const char* title = join(&page->data->arena, &titles);
  hp_puts(html,
          "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
  put_element(html, "title", title[0] != '\0' ? title : "hakplot: where the time goes");
  hp_printf(html, "<style>\n%s</style>\n</head>\n<body>\n<main>\n", kStyle);
  put_element(html, "h1", title[0] != '\0' ? title : "Where the time goes");
  if (page->data->note_count > 0) {
    hp_puts(html, "<div class=\"notes\"><h3>Before you read on</h3>\n<ul>\n");
    for (size_t i = 0; i < page->data->note_count; i++)
      put_element(html, "li", page->data->notes[i]);
    hp_puts(html, "</ul></div>\n");
  }
  put_overview(html, page);
  put_contents(html, page);
  hp_puts(html, "<h2 id=\"verdict\">Verdict</h2>\n");
  put_tables(html, page);
  put_pictures(html, page);
  put_environment(html, page);
  put_repeat(html, page);
  hp_puts(html, "</main>\n</body>\n</html>\n");
}
