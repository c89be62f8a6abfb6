// The page: overview, verdict, pictures, environment, how to repeat.

#include "tools/hakplot/html_page.h"

#include <math.h>
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

// ---- pictures ----

// After `id='`, `href='#` and `url(#` the prefix goes in.
void hp_put_inline_svg(FILE* html, const char* svg, const char* prefix, const char* title) {
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
      fprintf(html, "<title>%s</title>\n", hp_html(title));
      at += sizeof(kTitle) - 1;
      continue;
    }
    fwrite(at, 1, copied, html);
    fputs(inserted, html);
    at += copied;
  }
}

static void put_files(FILE* html, const hp_page* page, const char* name) {
  static const struct {
    unsigned format;
    const char* ending;
    const char* text;
  } kFiles[] = {{HP_SVG, "svg", "svg"},
                {HP_PNG, "png", "png"},
                {HP_PDF, "pdf", "pdf"},
                {0, "gp", "gnuplot script"},
                {0, "csv", "numbers (CSV)"}};
  fputs("<p class=\"files\">Files:", html);
  for (size_t i = 0; i < sizeof(kFiles) / sizeof(kFiles[0]); i++) {
    if (kFiles[i].format != 0 && (page->formats & kFiles[i].format) == 0) continue;
    fprintf(html, " <a href=\"%s.%s\">%s</a>", name, kFiles[i].ending, kFiles[i].text);
  }
  fputs("</p>\n", html);
}

static void put_pictures(FILE* html, const hp_page* page) {
  if (page->picture_count > 0) fputs("<h2>Pictures</h2>\n", html);
  for (size_t i = 0; i < page->picture_count; i++) {
    const char* svg = page->pictures[i].svg;
    const hp_figure* figure = page->pictures[i].figure;
    fprintf(html, "<figure id=\"%s\">\n<div class=\"scroll\">\n", figure->name);
    if (svg != NULL) {
      hp_put_inline_svg(html, svg, hp_format("f%zu-", i + 1), figure->title);
    } else {
      fprintf(html, "<p>%s: not drawn, gnuplot failed.</p>\n", hp_html(figure->title));
    }
    fprintf(html, "</div>\n<figcaption>%s</figcaption>\n", hp_html(figure->about));
    put_files(html, page, figure->name);
    fputs("</figure>\n", html);
  }
}

// ---- environment ----

// The keys, the first few of them.
static const char* join(const hp_map* texts) {
  enum { TEXTS_MAX = 8 };
  const char* joined = "";
  for (size_t i = 0; i < texts->count && i <= TEXTS_MAX; i++) {
    joined =
        hp_format("%s%s%s", joined, i > 0 ? ", " : "", i < TEXTS_MAX ? texts->at[i]->key : "…");
  }
  return joined;
}

static void add_text(hp_map* texts, const char* text) {
  if (text != NULL) hp_put(texts, text, 0);
}

static bool is_run(const hp_row* row) { return row->kind == HP_RUN || row->kind == HP_MEAN; }

// The different texts that runs say.
static hp_map* texts_of_runs(const hp_page* page, hp_field field) {
  hp_map* all = hp_map_new();
  for (size_t i = 0; i < page->data->row_count; i++) {
    const hp_row* row = &page->data->rows[i];
    if (is_run(row)) add_text(all, hp_string(row, field));
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
  const hp_row* first;
  hp_map* facts[FACTS];
} subject;

static void add_facts(hp_map* subjects, const char* name, const hp_row* row,
                      const fact_rule* rules) {
  subject* one = hp_put(subjects, name != NULL ? name : "", sizeof(*one))->thing;
  if (one->first == NULL) one->first = row;
  for (size_t i = 0; i < FACTS; i++) {
    if (one->first == row) one->facts[i] = hp_map_new();
    add_text(one->facts[i], hp_string(row, rules[i].field));
  }
}

// Leaves out what is not known.
static void put_fact(FILE* html, const char* name, const char* value) {
  if (value[0] == '\0') return;
  fprintf(html, "<tr><th scope=\"row\">%s</th><td>%s</td></tr>\n", name, hp_html(value));
}

static const char* cache_text(const char* before, const char* name, double bytes) {
  if (isnan(bytes)) return before;
  return hp_format("%s%s%s %s", before, before[0] != '\0' ? ", " : "", name, hp_size_text(bytes));
}

static void put_machine(FILE* html, const char* name, const subject* machine) {
  const hp_row* row = machine->first;
  double cores = hp_number(row, HP_host_cores);
  const char* caches = cache_text("", "L1 data", hp_number(row, HP_host_l1d_bytes));
  caches = cache_text(caches, "L2", hp_number(row, HP_host_l2_bytes));
  caches = cache_text(caches, "L3", hp_number(row, HP_host_l3_bytes));
  fputs("<div class=\"scroll\"><table class=\"facts\"><tbody>\n", html);
  put_fact(html, "machine", name[0] != '\0' ? name : "not named by the records");
  put_fact(html, "processors", isnan(cores) ? "" : hp_number_text(cores, 1));
  put_fact(html, "caches", caches);
  for (size_t i = 0; i < FACTS; i++) {
    put_fact(html, kMachineFacts[i].name, join(machine->facts[i]));
  }
  fputs("</tbody></table></div>\n", html);
}

static void put_phases(FILE* html, const hp_map* phases) {
  hp_table table = {.title = "Phases"};
  hp_table_column(&table, "phase");
  for (size_t i = 0; i < FACTS; i++) hp_table_column(&table, kPhaseFacts[i].name);
  for (size_t p = 0; p < phases->count; p++) {
    const subject* phase = phases->at[p]->thing;
    if (phases->at[p]->key[0] == '\0') continue;
    hp_table_row* row = hp_table_row_add(&table);
    row->cells[0] = phases->at[p]->key;
    for (size_t i = 0; i < FACTS; i++) {
      const char* text = join(phase->facts[i]);
      bool is_hash = kPhaseFacts[i].field == HP_allocator_sha256;
      row->cells[i + 1] = is_hash ? hp_format("%.12s", text) : text;
    }
  }
  hp_table_html(&table, html);
}

static void put_environment(FILE* html, const hp_page* page) {
  hp_map* machines = hp_map_new();
  hp_map* phases = hp_map_new();
  for (size_t i = 0; i < page->data->row_count; i++) {
    const hp_row* row = &page->data->rows[i];
    if (!is_run(row)) continue;
    add_facts(machines, hp_string(row, HP_host_id), row, kMachineFacts);
    add_facts(phases, hp_string(row, HP_phase), row, kPhaseFacts);
  }
  fputs("<h2 id=\"environment\">Environment</h2>\n", html);
  for (size_t i = 0; i < machines->count; i++) {
    put_machine(html, machines->at[i]->key, machines->at[i]->thing);
  }
  put_phases(html, phases);
}

// ---- how to repeat ----

static void put_repeat(FILE* html, const hp_page* page) {
  const hp_map* experiments = texts_of_runs(page, HP_experiment);
  fprintf(html, "<h2>How to repeat</h2>\n<p>These tables and pictures:</p>\n<pre>%s</pre>\n",
          hp_html(page->command));
  if (experiments->count > 0) fputs("<p>The runs:</p>\n<pre>", html);
  for (size_t i = 0; i < experiments->count; i++) {
    fprintf(html, "%s %s\n", page->run_command, hp_html(experiments->at[i]->key));
  }
  if (experiments->count > 0) fputs("</pre>\n", html);
  fputs(
      "<p>One picture, after changing its script: <code>gnuplot NAME.gp</code></p>\n"
      "<p class=\"small\">Read from: ",
      html);
  for (size_t i = 0; i < page->data->file_count; i++) {
    if (i > 0) fputs(", ", html);
    if (i == 40) {
      fprintf(html, "and %zu more", page->data->file_count - i);
      break;
    }
    fputs(hp_html(page->data->files[i]), html);
  }
  fputs("</p>\n", html);
}

// ---- overview ----

// The cell of a phase in the row of a workload.
static void put_ratio(FILE* html, const hp_case* one, const char* phase) {
  const hp_metric* metric = hp_main_metric(one);
  size_t g = 0;
  while (g < one->group_count && strcmp(one->groups[g].label, phase) != 0) g++;
  const hp_group* group = g < one->group_count ? &one->groups[g] : NULL;
  if (group == NULL || group->baseline == NULL) {
    fputs("<td></td>", html);
  } else if (group->baseline == group) {
    hp_unit unit = hp_unit_of(one, metric);
    double centre = hp_summarise(group, metric).centre * unit.factor;
    fprintf(html, "<td>%s %s</td>", hp_number_text(centre, 3), unit.name);
  } else {
    hp_comparison ratio = hp_compare_groups(group->baseline, group, metric);
    bool is_better = (ratio.ratio > 1) == metric->is_better_larger;
    const char* told = is_better ? "better" : "worse";
    fprintf(html, "<td class=\"%s\">%s</td>", ratio.judgement == HP_DIFFERENT ? told : "unsure",
            hp_change_text(&ratio));
  }
}

// Workloads by phases, where there are several of both.
static void put_overview(FILE* html, const hp_page* page) {
  hp_map* phases = hp_map_new();
  size_t rows = 0;
  for (size_t i = 0; i < page->cases->count; i++) {
    const hp_case* one = &page->cases->at[i];
    if (hp_is_detail(one)) continue;
    rows++;
    for (size_t g = 0; g < one->group_count; g++) hp_put(phases, one->groups[g].label, 0);
  }
  if (rows < 2 || phases->count < 2) return;
  fputs(
      "<h2 id=\"overview\">Overview</h2>\n<div class=\"scroll\"><table><thead><tr>"
      "<th scope=\"col\">workload</th>",
      html);
  for (size_t p = 0; p < phases->count; p++) {
    fprintf(html, "<th scope=\"col\">%s</th>", hp_html(phases->at[p]->key));
  }
  fputs("</tr></thead>\n<tbody>\n", html);
  for (size_t i = 0; i < page->cases->count; i++) {
    const hp_case* one = &page->cases->at[i];
    if (hp_is_detail(one)) continue;
    fprintf(html, "<tr><th scope=\"row\">%s</th>", hp_html(one->title));
    for (size_t p = 0; p < phases->count; p++) put_ratio(html, one, phases->at[p]->key);
    fputs("</tr>\n", html);
  }
  fputs(
      "</tbody></table></div>\n<p class=\"small\">Each phase against the baseline of its "
      "row, which stands with its own figure. Blue: better; orange: worse; grey: no "
      "difference can be told, or too few runs.</p>\n",
      html);
}

static void put_contents(FILE* html, const hp_page* page) {
  if (page->picture_count < 2) return;
  fputs("<nav><h2>Contents</h2>\n<ul>\n<li><a href=\"#verdict\">Verdict</a></li>\n", html);
  for (size_t i = 0; i < page->picture_count; i++) {
    const hp_figure* figure = page->pictures[i].figure;
    fprintf(html, "<li><a href=\"#%s\">%s</a></li>\n", figure->name, hp_html(figure->title));
  }
  fputs("<li><a href=\"#environment\">Environment</a></li>\n</ul></nav>\n", html);
}

static void put_tables(FILE* html, const hp_page* page, bool are_details) {
  for (size_t i = 0; i < page->cases->count; i++) {
    const hp_case* one = &page->cases->at[i];
    if (hp_is_detail(one) == are_details) hp_table_html(hp_verdict_table(one), html);
  }
}

static void put_verdict(FILE* html, const hp_page* page) {
  size_t details = 0;
  for (size_t i = 0; i < page->cases->count; i++) details += hp_is_detail(&page->cases->at[i]);
  fputs("<h2 id=\"verdict\">Verdict</h2>\n", html);
  put_tables(html, page, false);
  if (details == 0) return;
  fprintf(html, "<details><summary>%zu more: points of sweeps, limits, latency runs</summary>\n",
          details);
  put_tables(html, page, true);
  fputs("</details>\n", html);
}

void hp_page_html(const hp_page* page, FILE* html) {
  const hp_map* notes = page->data->notes;
  const char* title = join(texts_of_runs(page, HP_title));
  bool has_title = title[0] != '\0';
  fprintf(html,
          "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<title>%s</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>%s</h1>\n",
          has_title ? hp_html(title) : "hakplot: where the time goes", kStyle,
          has_title ? hp_html(title) : "Where the time goes");
  if (notes->count > 0) fputs("<div class=\"notes\"><h3>Before you read on</h3>\n<ul>\n", html);
  for (size_t i = 0; i < notes->count; i++) {
    fprintf(html, "<li>%s</li>\n", hp_html(notes->at[i]->key));
  }
  if (notes->count > 0) fputs("</ul></div>\n", html);
  put_overview(html, page);
  put_contents(html, page);
  put_verdict(html, page);
  put_pictures(html, page);
  put_environment(html, page);
  put_repeat(html, page);
  fputs("</main>\n</body>\n</html>\n", html);
}
