// The KL of a change: 0 for none, growing with the strength, and fitted to a target.
#include "work/steer/steer.h"

#include <gtest/gtest.h>

#include "testing/folder.h"
#include "testing/models.h"

namespace crate {
namespace {

class Steering : public testing::Test {
 protected:
  void SetUp() override {
    init_noisily(model, 3);
    for (int i = 0; i < 30; ++i) text.push_back(i * 7 % 23);  // longer than the context of 11
  }
  Device device;
  ModelConfig config = small_models()[2].config;  // crate-lm
  LanguageModel model{device, config};
  std::vector<int32_t> text;
};

TEST_F(Steering, KlIsZeroWithoutEffectAndGrowsWithTheStrength) {
  const auto kl = [&](const std::string& value) {
    return mean_kl(model, text, {parse_intervention(Change::add, "blocks.1.ista.code:3=" + value)});
  };
  EXPECT_EQ(mean_kl(model, text, {}), 0);
  EXPECT_NEAR(kl("0"), 0, 1e-9);
  EXPECT_GT(kl("1"), 1e-6);
  EXPECT_GT(kl("2"), kl("1"));
  // A token that is not there changes nothing; one that is changes only what comes from it on.
  EXPECT_EQ(mean_kl(model, text, {parse_intervention(Change::add, "blocks.1.ista.code:3@30=2")}), 0);
  EXPECT_GT(mean_kl(model, text, {parse_intervention(Change::add, "blocks.1.ista.code:3@29=2")}), 0);
}

TEST_F(Steering, StrengthIsFittedToAKl) {
  const auto changes = at_kl(model, text, {parse_intervention(Change::add, "blocks.1.ista.code:3=1")}, 0.05);
  EXPECT_NEAR(mean_kl(model, text, changes), 0.05, 0.0011);
  EXPECT_NE(message_of([&] { at_kl(model, text, {parse_ablation("blocks.1.ista.code:3")}, 0.05); }), "no error");
  EXPECT_NE(message_of([&] { mean_kl(model, {}, {}); }), "no error");
}

}  // namespace
}  // namespace crate
