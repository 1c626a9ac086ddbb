// The pages in a real browser: chromium, driven by tests/web/*.mjs through playwright-core. Skipped where one of them
// is missing; `make browser` fetches them. Set CRATE_SHOTS to a folder to keep the screenshots.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>

#include "testing/cards.h"
#include "testing/folder.h"
#include "testing/graphs.h"
#include "work/page/explain_page.h"

namespace crate {
namespace {

const std::vector<std::string> sentence = {"The",  " Tower", " of", " Bel", "ém",     " stands", " on",
                                           " the", " bank",  " of", " the", " Tagus", " in"};

bool runs(const std::string& command) { return std::system((command + " > /dev/null 2>&1").c_str()) == 0; }

bool browser_there() {
  return runs("command -v chromium") && runs("command -v node") &&
         std::filesystem::exists(CRATE_BINARY_DIR "/web/node_modules/playwright-core");
}

void drive(const std::string& script, const std::string& folder) {
  const std::string command = "NODE_PATH=" CRATE_BINARY_DIR "/web/node_modules node " CRATE_SOURCE_DIR "/tests/web/" +
                              script + " '" + folder + "'";
  const int status = std::system(command.c_str());
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << script << " found faults; they stand above";
}

TEST(Pages, ExplanationInABrowser) {
  if (!browser_there()) GTEST_SKIP() << "no chromium, node and playwright-core beside the project; see make browser";
  const Folder folder;
  const nlohmann::json graph = example_graph(sentence, " Lisbon");
  folder.with("plain.html", report_html(graph.dump(), example_atoms(graph).dump()));
  folder.with("hostile.html", report_html(hostile_graph().dump()));
  std::vector<std::string> words;
  for (int i = 0; i < 96; ++i)
    words.push_back(" " + sentence[static_cast<std::size_t>(i) % sentence.size()].substr(0, 5));
  folder.with("long.html",
              report_html(example_graph(words, " Lisbon", {.layers = 6, .units = 4, .links = 0.02}).dump()));
  drive("explain.mjs", folder.path.string());
}

TEST(Pages, ReportCardInABrowser) {
  if (!browser_there()) GTEST_SKIP() << "no chromium, node and playwright-core beside the project; see make browser";
  const Folder folder;
  folder.with("report.html", to_html(example_card()));
  drive("report.mjs", folder.path.string());
}

}  // namespace
}  // namespace crate
