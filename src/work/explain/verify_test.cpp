// What is recorded can be computed again, what was changed is found, and what is no explanation is refused.
#include "work/explain/verify.h"

#include <gtest/gtest.h>

#include "testing/folder.h"
#include "testing/models.h"
#include "work/explain/graph_file.h"
#include "work/explain/graph_json.h"

namespace crate {
namespace {

using nlohmann::json;

json document_of(LanguageModel& model, const std::vector<int32_t>& tokens, const Target& target) {
  LanguageSubject subject(model, tokens);
  subject.change({{parse_intervention(Change::add, "blocks.0.ista.code:1@2=0.5")}});
  const Walk walk(subject, {target});
  const Explanation e = explain(walk, 0);
  const Graph graph = graph_of(edges_among(walk, e, units_of(walk, e, 60)), 0.8, 0.98);
  Labels labels;
  for (const int32_t t : tokens) labels.inputs.push_back(fmt::format("t{}", t));
  labels.prompt = "t";
  labels.score = [](int64_t t) { return fmt::format("t{}", t); };
  return to_json({walk, e, graph, served_by(subject, walk), {.top = 60}},
                 {"m", std::string(64, 'a'), std::string(64, 'b'), "cpu"}, labels, {{"tokens", tokens}});
}

class Recorded : public testing::Test {
 protected:
  Recorded() : model(device, small_models()[3].config) {
    init_noisily(model, 3);
    document = document_of(model, {3, 1, 4, 1, 5, 9}, {.score = 7, .contrast = 2});
  }
  Device device;
  LanguageModel model;
  json document;
  static constexpr Tolerance tolerance{1e-4, 2e-6, 1e-4};
};

TEST_F(Recorded, ReadsBackAndHolds) {
  const GraphFile file = parse_graph_file(document.dump(), "file");
  EXPECT_EQ(file.tokens, (std::vector<int32_t>{3, 1, 4, 1, 5, 9}));
  EXPECT_EQ(file.target.score, 7);
  EXPECT_EQ(file.target.contrast, 2);
  ASSERT_EQ(file.changes.size(), 1U);
  EXPECT_EQ(to_text(file.changes[0]), "blocks.0.ista.code:1@2=0.5");
  const json again = document_of(model, file.tokens, file.target);
  const Verification v = compare_graphs(file.document, again, tolerance);
  EXPECT_TRUE(v.differences.empty()) << v.differences[0];
  EXPECT_GT(v.numbers, 100U);
  EXPECT_EQ(document["nodes"].back()["is_target_logit"], true);
}

// Every number of the file in turn, a little off; and a text, a node, a link, a key.
TEST_F(Recorded, AnyChangeIsFound) {
  const json flat = document.flatten();
  int changed = 0;
  for (const auto& [path, value] : flat.items()) {
    const bool told = path.starts_with("/qParams") || path.starts_with("/metadata/info") || path == "/metadata/slug" ||
                      path == "/metadata/scan" || path == "/metadata/crate/model/name" ||
                      path == "/metadata/crate/served/active_sets/differ";
    if (told || !(value.is_number() || value.is_string()) || ++changed % 7 != 0) continue;
    if (path.ends_with("clerp")) continue;
    json other = document;
    json& at = other.at(json::json_pointer(path));
    if (value.is_string())
      at = value.get<std::string>() + "x";
    else if (value.is_number_integer())
      at = value.get<int64_t>() + 1;
    else
      at = value.get<double>() * 1.01 + 0.01;
    EXPECT_FALSE(compare_graphs(other, document, tolerance).differences.empty()) << path;
  }
  EXPECT_GT(changed, 500);
  for (const char* list : {"nodes", "links"}) {
    json other = document;
    other[list].erase(0);
    EXPECT_FALSE(compare_graphs(other, document, tolerance).differences.empty());
    other = document;
    other[list][0]["more"] = 1;
    EXPECT_FALSE(compare_graphs(other, document, tolerance).differences.empty());
  }
  json other = document;
  other["qParams"]["pinnedIds"] = {"a"};
  other["metadata"]["slug"] = "mine";
  EXPECT_TRUE(compare_graphs(other, document, tolerance).differences.empty());
}

TEST_F(Recorded, WhatIsNoExplanationIsRefused) {
  const auto refused = [](const std::string& text) {
    EXPECT_THROW(parse_graph_file(text, "file"), Error) << text.substr(0, 80);
  };
  for (const char* text : {"", "{", "[]", "1", "{}", "{\"metadata\":1}", "{\"metadata\":{\"crate\":{}}}", "\xff\xfe"})
    refused(text);
  refused(std::string(1 << 20, '['));
  std::string deep = "{\"metadata\":";
  for (int i = 0; i < 100; ++i) deep += "{\"a\":";
  refused(deep);
  const auto changed = [&](const char* pointer, const json& value) {
    json other = document;
    other[json::json_pointer(pointer)] = value;
    return other.dump();
  };
  refused(changed("/metadata/crate/format", 2));
  refused(changed("/metadata/crate/model/family", "no-such"));
  refused(changed("/metadata/crate/input/tokens", {{"a", 1}}));
  refused(changed("/metadata/crate/input/tokens", {1, -1}));
  refused(changed("/metadata/crate/input/tokens", {1, 1e300}));
  refused(changed("/metadata/crate/input/tokens", json::array()));
  refused(changed("/metadata/crate/target/score", "7"));
  refused(changed("/metadata/crate/options/top", -1));
  refused(changed("/metadata/crate/changes", 1));
  refused(changed("/metadata/crate/changes/0/kind", "remove"));
  refused(changed("/metadata/crate/changes/0/what", "blocks.0.ista.code:1"));
  refused(changed("/metadata/node_threshold", "much"));
  refused(changed("/nodes/0/node_id", 5));
  refused(changed("/links/0/weight", nullptr));
  for (std::size_t cut = 0; cut < document.dump().size(); cut += 997) refused(document.dump().substr(0, cut));
}

TEST(ImageText, RoundTrips) {
  Image image(3, 5, 3);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(37 * i);
  EXPECT_EQ(image_of_text(text_of_image(image), "image"), image);
  EXPECT_THROW(image_of_text("not an image", "image"), Error);
  EXPECT_THROW(image_of_text("AAAA", "image"), Error);
}

}  // namespace
}  // namespace crate
