// Flame graphs as SVG, and the script of their page.

#include "tools/hakprof/flame.h"

#include <math.h>
#include <string.h>

#include "tools/hakplot/palette.h"
#include "tools/hakplot/table.h"
#include "tools/hakprof/listing.h"

// In units of the picture; a letter is as wide as in the fonts that have one width.
enum { WIDTH = 1200, ROW = 18, HEAD = 52, FONT = 12, PAD = 4 };
#define LETTER (0.602 * FONT)

typedef struct picture {
  const pf_flame* flame;
  FILE* out;
  double total;
  double least;  // narrower frames are left out
  hp_map* modules;
  size_t depth;
} picture_t;

static const char* const kColours[] = {HP_ORANGE, HP_SKY, HP_GREEN, HP_PURPLE, HP_BLUE};
enum { COLOURS = sizeof(kColours) / sizeof(kColours[0]) };

static bool is_shown(const picture_t* picture, const pf_node* node) {
  return node->value / picture->total * WIDTH >= picture->least;
}

// Finds how deep the picture is, and whose code the frames are: the first files get colours.
static void measure(picture_t* picture, const pf_node* node, size_t depth) {
  if (!is_shown(picture, node)) return;
  if (node->frame != NULL) hp_put(picture->modules, node->frame->function->module, 0);
  if (depth > picture->depth) picture->depth = depth;
  for (size_t i = 0; i < node->child_count; i++) measure(picture, node->children[i], depth + 1);
}

typedef struct fill {
  const char* colour;
  double opacity;
} fill_t;

static fill_t fill_of(const picture_t* picture, const pf_node* node) {
  double change = node->value - node->base;
  if (picture->flame->has_base) {
    bool is_told = fabs(change) >= 2 * sqrt(node->variance);
    double part = fabs(change) / fmax(fabs(node->value), fabs(node->base));
    if (!is_told || !(part > 0)) return (fill_t){HP_GREY, 0.25};
    return (fill_t){change > 0 ? HP_VERMILION : HP_BLUE, 0.15 + 0.6 * fmin(part, 1)};
  }
  const hp_entry* module =
      node->frame != NULL ? hp_get(picture->modules, node->frame->function->module) : NULL;
  if (module == NULL || module->number >= COLOURS) return (fill_t){HP_GREY, 0.35};
  return (fill_t){kColours[module->number], 0.6};
}

static const char* figures_of(const picture_t* picture, const pf_node* node) {
  const char* unit = picture->flame->unit;
  const char* text =
      hp_format("%s ± %s, %.1f %%", pf_amount(node->value, unit),
                pf_amount(sqrt(node->variance), unit), 100 * node->value / picture->total);
  if (!picture->flame->has_base) return text;
  double change = node->value - node->base;
  bool is_told = fabs(change) >= 2 * sqrt(node->variance);
  return hp_format("%s, was %s: %s%s%s", text, pf_amount(node->base, unit), change > 0 ? "+" : "",
                   pf_amount(change, unit), is_told ? "" : " (no difference can be told)");
}

static void put_node(const picture_t* picture, const pf_node* node, double x, size_t depth) {
  FILE* out = picture->out;
  double width = node->value / picture->total * WIDTH;
  double y = HEAD + (double)depth * ROW;
  if (!is_shown(picture, node)) return;
  bool is_root = node->frame == NULL;
  const char* name = is_root ? "all" : node->frame->function->name;
  const char* place = is_root ? "" : node->frame->place;
  const char* module = is_root ? "" : node->frame->function->module;
  // "libc.so.6+0x27249": the colour says the one, which leaves room for the other.
  size_t length = strlen(module);
  const char* label =
      strncmp(name, module, length) == 0 && name[length] == '+' ? name + length : name;
  fill_t fill = fill_of(picture, node);
  fprintf(out, "<g class=\"frame\" data-value=\"%.0f\"><title>%s", node->value, hp_html(name));
  if (place[0] != '\0') fprintf(out, " %s", hp_html(place));
  if (module[0] != '\0') fprintf(out, " (%s)", hp_html(module));
  fprintf(out, "\n%s</title>", figures_of(picture, node));
  fprintf(out,
          "<rect x=\"%.3f\" y=\"%.0f\" width=\"%.3f\" height=\"%d\" fill=\"%s\" "
          "fill-opacity=\"%.2f\"/>",
          x, y, width, ROW - 1, fill.colour, fill.opacity);
  double letters = (width - 2 * PAD) / LETTER;
  fprintf(out, "<text x=\"%.3f\" y=\"%.0f\" data-name=\"%s\">%s</text></g>\n", x + PAD, y + 13,
          hp_html(label), letters >= 3 ? hp_html(pf_fit(label, (size_t)letters)) : "");
  for (size_t i = 0; i < node->child_count; i++) {
    put_node(picture, node->children[i], x, depth + 1);
    x += node->children[i]->value / picture->total * WIDTH;
  }
}

static void put_legend(const picture_t* picture, double* x, fill_t fill, const char* text) {
  fprintf(picture->out,
          "<rect x=\"%.0f\" y=\"30\" width=\"12\" height=\"12\" fill=\"%s\" "
          "fill-opacity=\"%.2f\"/><text x=\"%.0f\" y=\"41\">%s</text>\n",
          *x, fill.colour, fill.opacity, *x + 16, hp_html(text));
  *x += 16 + 24 + LETTER * (double)hp_columns(text);
}

static void put_svg(const pf_flame* flame, const pf_node* root, double least, FILE* svg) {
  picture_t picture = {flame, svg, root->value, least, hp_map_new(), 0};
  double x = PAD;
  measure(&picture, root, 0);
  double height = HEAD + ROW * (double)(picture.depth + 1) + PAD;
  fprintf(
      svg,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" "
      "height=\"%.0f\" font-family=\"DejaVu Sans Mono, monospace\" font-size=\"%d\" fill=\"%s\">\n"
      "<title>%s</title>\n<rect width=\"%d\" height=\"%.0f\" fill=\"#ffffff\"/>\n"
      "<text x=\"%d\" y=\"18\" font-weight=\"bold\">%s</text>\n",
      WIDTH, height, WIDTH, height, FONT, HP_INK, hp_html(flame->title), WIDTH, height, PAD,
      hp_html(pf_fit(flame->title, (size_t)(WIDTH / LETTER))));
  if (flame->has_base) {
    put_legend(&picture, &x, (fill_t){HP_VERMILION, 0.75}, "has grown");
    put_legend(&picture, &x, (fill_t){HP_BLUE, 0.75}, "has shrunk");
    put_legend(&picture, &x, (fill_t){HP_GREY, 0.25}, "no difference can be told");
  }
  for (size_t i = 0; i < picture.modules->count && i < COLOURS && !flame->has_base; i++) {
    put_legend(&picture, &x, (fill_t){kColours[i], 0.6}, picture.modules->at[i]->key);
  }
  if (!flame->has_base) put_legend(&picture, &x, (fill_t){HP_GREY, 0.35}, "other");
  put_node(&picture, root, 0, 0);
  fputs("</svg>\n", svg);
}

// What is too narrow for a name says nothing in a picture.
void pf_flame_svg(const pf_flame* flame, const pf_node* root, FILE* svg) {
  put_svg(flame, root, 12, svg);
}

// ---- the page ----

static const char kStyle[] =
    "body{margin:1rem;font:15px/1.4 system-ui,sans-serif;color:" HP_INK
    ";background:#fff}\n"
    "svg{display:block;width:100%;height:auto}\n"
    ".frame{cursor:pointer}.frame:hover rect{stroke:" HP_INK
    "}\n"
    ".searching .frame{opacity:.35}.searching .found{opacity:1}.found rect{stroke:" HP_INK
    "}\n"
    "input{font:inherit;width:22em}label{margin-right:1em}\n";

// A frame's place is kept as it was drawn: to zoom is to cut it to what the chosen frame spans, and
// to stretch that. Frames come in the order of a walk, so what stands below one that was found
// comes behind it.
static const char kScript[] =
    "'use strict';\n"
    "const svg = document.querySelector('svg'), width = svg.viewBox.baseVal.width;\n"
    "const frames = [...svg.querySelectorAll('.frame')].map(g => {\n"
    "  const rect = g.querySelector('rect'), text = g.querySelector('text');\n"
    "  const number = name => parseFloat(rect.getAttribute(name));\n"
    "  return {g, rect, text, name: text.dataset.name, value: parseFloat(g.dataset.value),\n"
    "          from: number('x'), to: number('x') + number('width'), y: number('y')};\n"
    "});\n"
    "function zoom(chosen) {\n"
    "  const scale = width / (chosen.to - chosen.from);\n"
    "  for (const f of frames) {\n"
    "    const from = Math.max(f.from, chosen.from), to = Math.min(f.to, chosen.to);\n"
    "    const x = (from - chosen.from) * scale, w = (to - from) * scale;\n"
    "    f.g.style.display = w > .5 ? '' : 'none';\n"
    "    if (w <= .5) continue;\n"
    "    f.rect.setAttribute('x', x);\n"
    "    f.rect.setAttribute('width', w);\n"
    "    f.text.setAttribute('x', x + 4);\n"
    "    const room = Math.floor((w - 8) / 7.22);\n"
    "    const tail = f.name.slice(f.name.length - (room < 16 ? 0 : room >> 1));\n"
    "    f.text.textContent = f.name.length <= room ? f.name\n"
    "        : room >= 3 ? f.name.slice(0, room - 1 - tail.length) + '…' + tail : '';\n"
    "  }\n"
    "}\n"
    "function search(word) {\n"
    "  let sum = 0, inside = null;\n"
    "  for (const f of frames) {\n"
    "    const is = word !== '' && f.name.toLowerCase().includes(word.toLowerCase());\n"
    "    f.g.classList.toggle('found', is);\n"
    "    if (inside && (f.y <= inside.y || f.from >= inside.to)) inside = null;\n"
    "    if (is && !inside) { inside = f; sum += f.value; }\n"
    "  }\n"
    "  svg.classList.toggle('searching', word !== '');\n"
    "  const share = (100 * sum / frames[0].value).toFixed(1);\n"
    "  document.querySelector('output').textContent = word === '' ? '' : share + ' % found';\n"
    "}\n"
    "const input = document.querySelector('input');\n"
    "input.addEventListener('input', () => search(input.value));\n"
    "for (const f of frames) f.g.addEventListener('click', () => zoom(f));\n"
    "addEventListener('keydown', e => {\n"
    "  if (e.key === 'Escape') { input.value = ''; search(''); zoom(frames[0]); }\n"
    "});\n";

void pf_flame_html(const pf_flame* flame, const pf_node* root, FILE* html) {
  fprintf(html,
          "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<title>%s</title>\n<style>\n%s</style>\n</head>\n<body>\n"
          "<p><label>Search <input type=\"search\"></label><output></output></p>\n",
          hp_html(flame->title), kStyle);
  put_svg(flame, root, 1, html);
  fprintf(html,
          "<p>The outermost calls are on top; the wider a frame, the more it and those it calls "
          "hold. Click on one to zoom in, on <i>all</i> or Escape to zoom out; point at one for "
          "its figures.%s</p>\n<script>\n%s</script>\n</body>\n</html>\n",
          flame->has_base ? " What holds nothing any more has no frame." : "", kScript);
}
