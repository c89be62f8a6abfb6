// libFuzzer's entry: any bytes as a file, through the parsers, the groups, every chart, and all
// that draws short of gnuplot itself. See fuzz_test.sh.

extern "C" {
#include "tools/hakplot/charts.h"
#include "tools/hakplot/gnuplot.h"
#include "tools/hakplot/html_page.h"
#include "tools/hakplot/term.h"
#include "tools/hakplot/verdict.h"
}

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tools/hakplot/testing/read_text.h"

namespace {

void draw(hp_dataset* data, FILE* out) {
  hp_cases cases = hp_group_runs(data);
  hp_figures figures;
  std::vector<hp_picture> pictures;
  hp_figures_begin(&figures, data, &cases);
  for (size_t i = 0; i < cases.count; i++) hp_table_text(hp_verdict_table(&cases.at[i]), 80, out);
  for (size_t i = 0; i < kChartCount; i++) kCharts[i].make(&figures);
  for (size_t i = 0; i < figures.count; i++) {
    hp_figure_csv(figures.at[i], out);
    hp_figure_text(figures.at[i], 80, out);
    hp_gnuplot_script(figures.at[i], HP_SVG, out);
    pictures.push_back({figures.at[i], nullptr});
  }
  hp_page page = {};
  page.data = data;
  page.cases = &cases;
  page.pictures = pictures.data();
  page.picture_count = pictures.size();
  page.command = page.run_command = "";
  hp_page_html(&page, out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* content, size_t size) {
  hp_dataset data;
  hp_dataset_init(&data);
  const char* text = reinterpret_cast<const char*>(content);
  if (hakplot_testing::ReadText(&data, "fuzzed", nullptr, text, size)) {
    hp_assume_ops(&data, 1e6);
    hakplot_testing::Written([&](FILE* out) { draw(&data, out); });
  }
  hp_free_all();
  return 0;
}
