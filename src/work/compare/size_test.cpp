#include "work/compare/size.h"

#include <gtest/gtest.h>

#include "model/presets.h"

namespace crate {
namespace {

ModelConfig of(Family family, int64_t layers) {
  ModelConfig c;
  c.family = family;
  c.dim = 192;
  c.heads = 6;
  c.layers = layers;
  return c;
}

TEST(Size, MeetsTheBudgetOfTheTwin) {
  const Budget target = budget_of(of(Family::gpt2, 4));
  for (const Family family : {Family::crate_lm, Family::gpt_relu}) {
    for (const Match match : {Match::parameters, Match::flops, Match::both}) {
      ModelConfig start = of(family, 3);
      // A tied dictionary in two steps works four times with each number; only read once and written once can it agree
      // with the twin in both budgets.
      if (match == Match::both && family == Family::crate_lm) {
        start.ista_steps = 1;
        start.untied_dictionary = true;
      }
      const ModelConfig c = sized_to(start, target, match);
      EXPECT_LE(mismatch(budget_of(c), target, match), match == Match::both ? 0.02 : 0.005)
          << name_of(family) << " " << name_of(match) << " " << to_json(c);
      EXPECT_NO_THROW(c.validate());
      EXPECT_EQ(c.heads, 6);
    }
  }
}

TEST(Size, TheSquareDictionaryChangesItsWidthAlone) {
  const Budget target = budget_of(of(Family::gpt2, 4));
  const ModelConfig c = sized_to(of(Family::crate_gpt, 4), target, Match::parameters);
  EXPECT_EQ(c.layers, 4);
  EXPECT_EQ(c.dim % 12, 0);
  EXPECT_LE(mismatch(budget_of(c), target, Match::parameters), 0.06);
}

TEST(Size, ADictionaryStaysWide) {
  ModelConfig small = of(Family::gpt2, 2);
  small.dim = 48;
  const ModelConfig c = sized_to(of(Family::crate_lm, 2), budget_of(small), Match::both);
  EXPECT_GE(c.n_atoms(), c.dim);
}

TEST(Size, WhatFitsAlreadyStays) {
  for (const Match match : {Match::none, Match::parameters, Match::flops, Match::both, Match::time}) {
    const ModelConfig c = of(Family::crate_lm, 4);
    EXPECT_EQ(to_json(sized_to(c, budget_of(c), match)), to_json(c));
  }
}

}  // namespace
}  // namespace crate
