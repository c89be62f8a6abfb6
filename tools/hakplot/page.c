#include "tools/hakplot/page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/hakplot/gnuplot.h"

// The pictures have the colours of ink, soft ink and grid as attributes; in the dark those are
// changed here. Bars and lines keep theirs, which stand out on both.
#define HP_RECOLOUR(text_form, shape_form, colour)                                        \
  "figure svg [fill=\"" text_form "\"],figure svg [fill=\"" shape_form "\"]{fill:" colour \
  "}\n"                                                                                   \
  "figure svg [stroke=\"" shape_form "\"]{stroke:" colour                                 \
  "}\n"                                                                                   \
  "figure svg [color=\"" shape_form "\"]{color:" colour "}\n"

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
    "figcaption{font-size:.92rem}\n"
    "pre{background:var(--shade);padding:.7em .9em;overflow-x:auto;font-size:.86rem}\n"
    ".notes{border-left:4px solid #d55e00;padding:.2em 1em;background:var(--shade)}\n"
    "figure svg>g>rect:first-of-type{fill:none}\n"
    "@media(prefers-color-scheme:dark){\n" HP_RECOLOUR("rgb(34,34,34)", "rgb( 34,  34,  34)",
                                                       "var(--ink)")
        HP_RECOLOUR("rgb(92,92,92)", "rgb( 92,  92,  92)", "var(--soft)")
            HP_RECOLOUR("rgb(221,221,221)", "rgb(221, 221, 221)", "var(--line)")
                HP_RECOLOUR("rgb(0,114,178)", "rgb(  0, 114, 178)", "#4aa3e0")
                    HP_RECOLOUR("black", "black", "var(--ink)") "}\n";

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

// All texts of a field over the rows of a machine (host NULL: any), joined.
static const char* texts_of(const hp_page* page, hp_field field, const char* host, bool has_host,
                            const char* phase) {
  hp_arena* arena = &page->data->arena;
  const char* joined = "";
  const char* last = NULL;
  hp_map seen = {0};
  for (size_t i = 0; i < page->data->row_count; i++) {
    const hp_row* row = &page->data->rows[i];
    const char* text = hp_string(row, field);
    bool is_new;
    if (row->kind != HP_RUN && row->kind != HP_MEAN) continue;
    if (text == NULL || text == last) continue;
    if (has_host && hp_string(row, HP_host_id) != host) continue;
    if (phase != NULL && hp_string(row, HP_phase) != phase) continue;
    last = text;
    hp_map_put(&seen, arena, text, &is_new);
    if (is_new && seen.count <= 8)
      joined = hp_format(arena, "%s%s%s", joined, joined[0] ? ", " : "", text);
    if (is_new && seen.count == 9) joined = hp_format(arena, "%s, …", joined);
  }
  hp_map_free(&seen);
  return joined;
}

static const char* size_text(hp_arena* arena, double bytes) {
  if (isnan(bytes)) return "unknown";
  return bytes >= 1048576 ? hp_format(arena, "%g MiB", bytes / 1048576)
                          : hp_format(arena, "%g KiB", bytes / 1024);
}

static void put_fact(hp_text* html, const char* name, const char* value) {
  hp_puts(html, "<tr><th scope=\"row\">");
  hp_put_html(html, name);
  hp_puts(html, "</th><td>");
  hp_put_html(html, value[0] != '\0' ? value : "unknown");
  hp_puts(html, "</td></tr>\n");
}

static void put_machine(hp_text* html, const hp_page* page, const hp_row* row) {
  hp_arena* arena = &page->data->arena;
  const char* host = hp_string(row, HP_host_id);
  double cores = hp_number(row, HP_host_cores);
  hp_puts(html, "<div class=\"scroll\"><table class=\"facts\"><tbody>\n");
  if (host != NULL) put_fact(html, "machine", host);
  put_fact(html, "processor", texts_of(page, HP_host_cpu, host, true, NULL));
  put_fact(html, "processors", hp_number_text(arena, cores, 1));
  put_fact(html, "caches",
           hp_format(arena, "L1 data %s, L2 %s, L3 %s",
                     size_text(arena, hp_number(row, HP_host_l1d_bytes)),
                     size_text(arena, hp_number(row, HP_host_l2_bytes)),
                     size_text(arena, hp_number(row, HP_host_l3_bytes))));
  put_fact(html, "kernel", texts_of(page, HP_host_kernel, host, true, NULL));
  put_fact(html, "huge pages", texts_of(page, HP_host_thp, host, true, NULL));
  put_fact(html, "governor", texts_of(page, HP_host_governor, host, true, NULL));
  put_fact(html, "measured by", texts_of(page, HP_source, host, true, NULL));
  put_fact(html, "commit", texts_of(page, HP_commit, host, true, NULL));
  hp_puts(html, "</tbody></table></div>\n");
}

static void put_phases(hp_text* html, const hp_page* page) {
  static const struct {
    hp_field field;
    const char* header;
  } kColumns[] = {{HP_allocator, "allocator"},      {HP_allocator_version, "version"},
                  {HP_build_mode, "build"},         {HP_env, "environment"},
                  {HP_allocator_path, "served by"}, {HP_allocator_sha256, "sha256"}};
  enum { COLUMNS = sizeof(kColumns) / sizeof(kColumns[0]) };
  hp_arena* arena = &page->data->arena;
  hp_table table = {.arena = arena, .title = "Phases"};
  hp_map seen = {0};
  hp_table_column(&table, "phase");
  for (size_t c = 0; c < COLUMNS; c++) hp_table_column(&table, kColumns[c].header);
  for (size_t i = 0; i < page->cases->count; i++) {
    for (size_t g = 0; g < page->cases->at[i].group_count; g++) {
      const hp_group* group = &page->cases->at[i].groups[g];
      bool is_new;
      if (group->phase == NULL) continue;
      hp_map_put(&seen, arena, group->phase, &is_new);
      if (!is_new) continue;
      hp_table_row* row = hp_table_row_add(&table);
      row->cells[0] = group->phase;
      for (size_t c = 0; c < COLUMNS; c++) {
        const char* text = texts_of(page, kColumns[c].field, NULL, false, group->phase);
        bool is_hash = kColumns[c].field == HP_allocator_sha256;
        row->cells[c + 1] = is_hash ? hp_format(arena, "%.12s", text) : text;
      }
    }
  }
  hp_map_free(&seen);
  hp_table_html(&table, html);
}

static void put_environment(hp_text* html, const hp_page* page) {
  hp_map seen = {0};
  hp_puts(html, "<h2>Environment</h2>\n");
  for (size_t i = 0; i < page->cases->count; i++) {
    for (size_t g = 0; g < page->cases->at[i].group_count; g++) {
      const hp_group* group = &page->cases->at[i].groups[g];
      const hp_row* row = group->run_count > 0 ? group->runs[0] : group->mean;
      bool is_new;
      if (row == NULL) continue;
      hp_map_put(&seen, &page->data->arena, group->host != NULL ? group->host : "", &is_new);
      if (is_new) put_machine(html, page, row);
    }
  }
  hp_map_free(&seen);
  put_phases(html, page);
}

// ---- how to repeat ----

static void put_repeat(hp_text* html, const hp_page* page) {
  const char* experiment = texts_of(page, HP_experiment, NULL, false, NULL);
  hp_puts(html, "<h2>How to repeat</h2>\n<p>These tables and pictures:</p>\n<pre>");
  hp_put_html(html, page->command);
  hp_puts(html, "</pre>\n");
  if (experiment[0] != '\0') {
    hp_puts(html, "<p>The runs:</p>\n<pre>bazel run //tools:hakrun -- ");
    hp_put_html(html, experiment);
    hp_puts(html, "</pre>\n");
  }
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
  const char* title = texts_of(page, HP_title, NULL, false, NULL);
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
  hp_puts(html, "<h2>Verdict</h2>\n");
  put_tables(html, page);
  put_pictures(html, page);
  put_environment(html, page);
  put_repeat(html, page);
  hp_puts(html, "</main>\n</body>\n</html>\n");
}
