// The page of an explanation as text: what it says without a program, and what it refuses.
#include "work/page/explain_page.h"

#include <gtest/gtest.h>

#include "testing/folder.h"
#include "testing/graphs.h"

namespace crate {
namespace {

using nlohmann::json;

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

TEST(ExplainPage, SaysEverythingWithoutAProgram) {
  const json graph = example_graph({"The", " sea"}, " calm");
  const std::string page = report_html(graph.dump());
  EXPECT_EQ(count(page, "<tr data-node="), graph["nodes"].size());
  for (const char* said : {"error mass", "no error nodes", "relative residual", "3.4e-08", "What a unit is here",
                           "never negative", "<span class=\"token\">·calm</span>"})
    EXPECT_NE(page.find(said), std::string::npos) << said;
  EXPECT_EQ(page, report_html(graph.dump()));
}

TEST(ExplainPage, IsOneFileThatLoadsNothing) {
  const std::string page = report_html(example_graph({"a"}, "b").dump());
  EXPECT_EQ(count(page, "<script"), 3u);
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  for (const char* outside : {"http:", "<link", "@import", "url(", " src=", "style=\""}) {
    const std::size_t at = page.find(outside);
    const bool svg_name = at != std::string::npos && page.substr(at, 18) == "http://www.w3.org/";
    EXPECT_TRUE(at == std::string::npos || svg_name) << page.substr(at, 80);
  }
}

TEST(ExplainPage, ErrorNodesAreNotPassedOver) {
  json graph = example_graph({"a", "b"}, "c");
  graph["nodes"].push_back(example::node("err", "mlp reconstruction error", 1, 0, "", 0.25));
  EXPECT_NE(report_html(graph.dump()).find("0.25 in 1 nodes"), std::string::npos);
}

TEST(ExplainPage, ReadsGraphsOfOtherPrograms) {
  json graph = example_graph({"a", "b"}, "c");
  graph["metadata"].erase("crate");
  for (auto& n : graph["nodes"]) n.erase("contribution"), n.erase("site");
  const std::string page = report_html(graph.dump());
  EXPECT_GT(count(page, "class=\"number plus\">+"), 0u);  // direct effects stand in
}

TEST(ExplainPage, HostileTextsStayTexts) {
  const std::string page = report_html(hostile_graph().dump());
  EXPECT_EQ(count(page, "<script"), 3u);
  EXPECT_EQ(count(page, "</script"), 3u);
  EXPECT_EQ(count(page, "<img"), 0u);
  EXPECT_EQ(count(page, "<main"), 1u);
  EXPECT_EQ(page.find('\0'), std::string::npos);
}

TEST(ExplainPage, AnImageWithItsPatches) {
  const std::string page = report_html(example_graph({"0", "1", "2", "3"}, "cat").dump(),
                                       {.image_png = "\x89PNG", .image_rows = 2, .image_columns = 2, .image_first = 0});
  EXPECT_NE(page.find("src=\"data:image/png;base64,iVBORw==\""), std::string::npos);
  EXPECT_NE(page.find("viewBox=\"0 0 2 2\""), std::string::npos);
}

TEST(ExplainPage, RefusesWhatIsNoGraph) {
  const auto told = [](const std::string& text) { return message_of([&] { report_html(text); }); };
  EXPECT_NE(told("{\"metadata\": ").find("cut short"), std::string::npos);
  EXPECT_NE(told("[]").find("no JSON object"), std::string::npos);
  EXPECT_NE(told("{}").find("'metadata'"), std::string::npos);
  EXPECT_NE(told(R"({"metadata": {}})").find("'prompt_tokens'"), std::string::npos);
  EXPECT_NE(told(R"({"metadata": {"prompt_tokens": [1]}})").find("texts"), std::string::npos);
  EXPECT_NE(told(R"({"metadata": {"prompt_tokens": []}, "nodes": [{}], "links": []})").find("node_id"),
            std::string::npos);
  EXPECT_NE(told(R"({"metadata": {"prompt_tokens": []}, "nodes": [], "links": [7]})").find("link"), std::string::npos);
  EXPECT_NE(told(std::string(100000, '[')).find("deeper"), std::string::npos);
  EXPECT_NE(message_of([&] {
              report_html(R"({"metadata": {"prompt_tokens": []}, "nodes": [], "links": []})", {.atoms_json = "x"});
            }).find("atoms"),
            std::string::npos);
}

}  // namespace
}  // namespace crate
