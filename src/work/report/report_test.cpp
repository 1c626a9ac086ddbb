// The measures where the answer is known, and a whole report on small models.
#include "work/report/report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "model/checkpoint.h"
#include "testing/folder.h"
#include "work/report/measures.h"

namespace crate {
namespace {

ModelConfig tiny(Family family) {
  ModelConfig c;
  c.family = family;
  c.dim = 16;
  c.heads = 2;
  c.layers = 2;
  c.context = 32;
  return c;
}

TEST(Units, RotatedDirectionsAreOrthonormal) {
  const Directions d = Directions::rotated(24, 24, 5);
  for (int64_t i = 0; i < 24; ++i) {
    for (int64_t j = 0; j < 24; ++j) {
      double dot = 0;
      for (std::size_t k = 0; k < 24; ++k) dot += static_cast<double>(d.vector(i)[k]) * d.vector(j)[k];
      EXPECT_NEAR(dot, i == j ? 1 : 0, 1e-5);
    }
  }
}

TEST(Units, AxesReadTheUnitsThemselves) {
  const Directions some = Directions::axes(10, 4, 3), all = Directions::axes(10, 99, 3);
  EXPECT_EQ(some.count(), 4);
  EXPECT_EQ(all.count(), 10);
  EXPECT_EQ(all.unit(7), 7);
  const std::vector<float> code = {0, 1, -2, 3, 4, 5, 6, 7, 8, 9};
  std::vector<float> values(12, -1.0F);
  some.read(code.data(), 1, values.data(), 6);
  for (int64_t i = 0; i < 4; ++i)
    EXPECT_EQ(values[static_cast<std::size_t>(i)], std::max(0.0F, code[static_cast<std::size_t>(some.unit(i))]));
  EXPECT_EQ(values[5], 0);
  EXPECT_EQ(values[6], -1);
}

TEST(Units, ARemovedDirectionIsGoneAndAnAddedOneIsThere) {
  const Directions d = Directions::rotated(8, 2, 1);
  std::vector<float> code = {1, 2, 3, 4, 5, 6, 7, 8, -1, -2, -3, -4, -5, -6, -7, -8}, values(4);
  d.read(code.data(), 2, values.data());
  const float held = std::max(values[0], values[2]);  // one row points along it, the other against
  EXPECT_GT(held, 0);
  const Tensor t{code.data(), {2, 8}, Dtype::f32};
  DirectionTap("s", d.vector(0), true, 0).edit("s", t);
  d.read(code.data(), 2, values.data());
  EXPECT_NEAR(std::max(values[0], values[2]), 0, 1e-5);
  const float other = values[1];
  DirectionTap("s", d.vector(0), false, 2).edit("s", t);
  d.read(code.data(), 2, values.data());
  EXPECT_NEAR(std::max(values[0], values[2]), 2, 1e-5);
  EXPECT_NEAR(values[1], other, 1e-5);
}

TEST(Faithfulness, WritersNeeded) {
  EXPECT_EQ(writers_needed({6, 3, 1}, 10, 0.5), 1);
  EXPECT_EQ(writers_needed({0.5, 6, 3.5}, 10, 0.9), 2);
  EXPECT_EQ(writers_needed({6, 3, 1}, 10, 0.99), 3);
  EXPECT_EQ(writers_needed({20, -10}, 10, 0.9), 2);  // what overshoots must come back
  EXPECT_EQ(writers_needed({}, 10, 0.9), 0);
}

TEST(Text, WordClassesStandAtTheEndOfWords) {
  if (!has_wordnet()) GTEST_SKIP() << "no WordNet beside the project";
  const auto bytes = byte_tokenizer();
  const auto inventory = load_inventory("supersenses");
  const std::string text = " The dogs of Europe, quickly.";
  const auto classes = word_classes_of(bytes->encode(text), *bytes, *inventory);
  EXPECT_EQ(classes[3], WordClass::function);                     // The
  EXPECT_EQ(classes[2], WordClass::none);                         // Th|e
  EXPECT_EQ(classes[text.find(" of") + 2], WordClass::function);  // of
  EXPECT_EQ(classes[text.find("Europe") + 5], WordClass::noun);
  EXPECT_EQ(classes[text.find("quickly") + 6], WordClass::adverb);
}

TEST(Text, LabelledTextsNameTheLine) {
  const Folder folder;
  const auto bytes = byte_tokenizer();
  const auto texts = read_labelled(folder.with("a.tsv", "sentence\tlabel\ngood film\t1\nbad\t0\n"), *bytes, 10);
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(texts[0].label, 1);
  EXPECT_EQ(texts[0].tokens.size(), 10u);  // the separator and nine bytes
  EXPECT_NE(message_of([&] { read_labelled(folder.with("b.tsv", "h\nno label\n"), *bytes, 10); }).find("line 2"),
            std::string::npos);
}

TEST(Report, OfSmallModels) {
  const Folder folder;
  Device device;
  for (const Family family : {Family::crate_lm, Family::gpt_relu}) {
    LanguageModel model(device, tiny(family));
    model.init(3);
    save_model(folder.at(name_of(family)), model);
  }
  std::string text;
  for (int i = 0; i < 400; ++i)
    text += i % 3 == 0 ? "The quick dogs walk slowly to Europe. " : "A cat of stone sleeps. ";
  ReportOptions options;
  options.tokens = 2048;
  options.window = 32;
  options.units = 16;
  options.probe_each = 20;
  options.causal = {.units = 2, .tokens = 64, .steer_tokens = 32, .kl = 0.1};
  options.meaning = {.tokens = 4096, .units = 4, .seed = 1};
  options.faith = {.prompts = 3, .length = 16, .seed = 1};
  const auto card =
      make_report({folder.at("crate-lm")}, {folder.at("gpt-relu")}, folder.with("text.txt", text), options);
  for (const Measure& m : measures()) {
    const std::string id = m.id;
    if (id.starts_with("probe.sst2") || (!has_wordnet() && (id.starts_with("probe") || id == "meaning.concept")))
      continue;
    for (const int model : {0, 1}) {
      for (const Variant v : variants) {
        if (v == Variant::rotated && (id.starts_with("faith") || id.starts_with("quality"))) continue;
        EXPECT_NE(card.find(id, model, v), nullptr) << id << " " << model << " " << name_of(v);
      }
    }
  }
  EXPECT_LT(card.find("faith.residual", 0, Variant::trained)->samples.mean(), 1e-10);
  EXPECT_LT(card.find("faith.served", 0, Variant::untrained)->samples.mean(), 1e-2);
  EXPECT_EQ(nlohmann::json::parse(to_json(card))["models"][0]["family"], "crate-lm");
  EXPECT_NE(message_of([&] {
              make_report({folder.at("crate-lm")}, {folder.at("crate-lm"), folder.at("gpt-relu")},
                          folder.at("text.txt"), options);
            }).find("another configuration"),
            std::string::npos);
}

}  // namespace
}  // namespace crate
