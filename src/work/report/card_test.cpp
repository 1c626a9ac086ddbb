// The card: means by layer, verdicts no stronger than their intervals, and the same numbers in every form.
#include "work/report/card.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "testing/cards.h"
#include "testing/folder.h"
#include "work/report/words.h"

namespace crate {
namespace {

TEST(ReportCard, KeepsMeansBySeedAndLayer) {
  ReportCard card;
  card.add_layers("geometry.dead", 0, Variant::trained, {1, 0, 0, 0}, 2);
  card.add_layers("geometry.dead", 0, Variant::trained, {1, 1, 1, 0}, 2);
  const Cell* cell = card.find("geometry.dead", 0, Variant::trained);
  ASSERT_NE(cell, nullptr);
  EXPECT_DOUBLE_EQ(cell->samples.mean(), 0.5);
  EXPECT_DOUBLE_EQ(cell->layer_mean(0), 0.75);
  EXPECT_DOUBLE_EQ(cell->layer_mean(1), 0.25);
  EXPECT_TRUE(std::isnan(cell->layer_mean(2)));
  EXPECT_EQ(card.find("geometry.dead", 1, Variant::trained), nullptr);
}

TEST(ReportCard, RefusesWhatIsNoNumber) {
  ReportCard card;
  EXPECT_THROW(card.add("quality.loss", 0, Variant::trained, {std::nan("")}), Error);
  EXPECT_THROW(card.add("no.such", 0, Variant::trained, {1}), Error);
  EXPECT_THROW(card.add_layers("geometry.dead", 0, Variant::trained, {1, 2, 3}, 2), Error);
  EXPECT_THROW(verdict_on(card, measure_of("probe.pos.k1")), Error);
}

TEST(ReportCard, VerdictsFollowTheExcess) {
  const ReportCard card = example_card();
  int ahead[3] = {0, 0, 0};
  for (const Measure& m : measures()) {
    if (!m.headline) continue;
    const Verdict v = verdict_on(card, m);
    ++ahead[1 + v.ahead];
    EXPECT_NEAR(v.difference.mean, v.white.mean - v.twin.mean, 1e-12);
    EXPECT_EQ(v.ahead >= 0, v.difference.excludes_zero());
  }
  EXPECT_GT(ahead[1], 0);
  EXPECT_GT(ahead[2], 0);
  EXPECT_GT(ahead[0], 0);
  // Where less is better the lower side leads.
  ReportCard less;
  for (const int m : {0, 1}) {
    less.add("geometry.coherence", m, Variant::trained, std::vector<double>(50, m == 0 ? 0.2 : 0.3));
    less.add("geometry.coherence", m, Variant::untrained, std::vector<double>(50, 0.1));
  }
  EXPECT_EQ(verdict_on(less, measure_of("geometry.coherence")).ahead, 0);
}

TEST(ReportCard, TheSameNumbersInEveryForm) {
  const ReportCard card = example_card();
  const auto json = nlohmann::json::parse(to_json(card));
  const double mean = json["measures"]["probe.pos.k5"]["model"]["trained"]["mean"];
  EXPECT_DOUBLE_EQ(mean, card.find("probe.pos.k5", 0, Variant::trained)->samples.mean());
  EXPECT_EQ(json["measures"]["probe.pos.k5"]["model"]["trained"]["by_layer"].size(), 4u);
  EXPECT_EQ(json["models"][1]["family"], "gpt-relu");
  const std::string markdown = to_markdown(card), page = to_html(card);
  for (const std::string& text : {markdown, page}) {
    EXPECT_NE(text.find(short_value(mean)), std::string::npos);
    EXPECT_NE(text.find(summary(card)), std::string::npos);
  }
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("<b>"), std::string::npos);
  EXPECT_NE(page.find("script-src 'none'"), std::string::npos);
}

TEST(ReportCard, Words) {
  EXPECT_EQ(short_value(0), "0");
  EXPECT_EQ(short_value(0.73449), "0.734");
  EXPECT_EQ(short_value(123.44), "123.4");
  EXPECT_EQ(short_value(3.14e-8), "3.1e-08");
  EXPECT_EQ(signed_value(0.5), "+0.500");
  ReportCard card = example_card(1);
  card.models[1].family = "crate-lm";
  EXPECT_EQ(model_title(card, 1), "twin (crate-lm)");
}

}  // namespace
}  // namespace crate
