// libFuzzer's entry: any bytes as a file, through the parsers, the groups, every chart, and all
// that draws short of gnuplot itself. See fuzz_test.sh.

extern "C" {
#include "tools/hakplot/charts.h"
#include "tools/hakplot/gnuplot.h"
#include "tools/hakplot/html_page.h"
#include "tools/hakplot/read.h"
#include "tools/hakplot/term.h"
#include "tools/hakplot/verdict.h"
}

#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

void draw(hp_dataset* data) {
  hp_cases cases = hp_group_runs(data);
  hp_figures figures;
  hp_text text = {};
  std::vector<hp_table*> tables;
  std::vector<hp_picture> pictures;
  hp_figures_begin(&figures, data, &cases);
  for (size_t i = 0; i < cases.count; i++) {
    tables.push_back(hp_verdict_table(data, &cases.at[i]));
    hp_table_text(tables.back(), 80, &text);
    hp_table_markdown(tables.back(), &text);
  }
  for (size_t i = 0; i < kChartCount; i++) kCharts[i].make(&figures);
  for (size_t i = 0; i < figures.count; i++) {
    hp_figure_csv(figures.at[i], &text);
    hp_figure_text(figures.at[i], 80, &text);
    hp_gnuplot_script(figures.at[i], HP_SVG, &text);
    pictures.push_back({figures.at[i], nullptr});
  }
  hp_page page = {};
  page.data = data;
  page.cases = &cases;
  page.tables = tables.data();
  page.table_count = tables.size();
  page.pictures = pictures.data();
  page.picture_count = pictures.size();
  page.command = page.run_command = "";
  hp_page_html(&page, &text);
  hp_text_free(&text);
  hp_figures_end(&figures);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* content, size_t size) {
  hp_dataset data;
  hp_dataset_init(&data);
  if (hp_read_buffer(&data, "fuzzed", nullptr, reinterpret_cast<const char*>(content), size)) {
    hp_assume_ops(&data, 1e6);
    draw(&data);
  }
  hp_dataset_free(&data);
  return 0;
}
