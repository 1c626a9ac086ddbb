#include "base/nearest.h"

#include <gtest/gtest.h>

namespace crate {
namespace {

TEST(Nearest, FindsTheWordThatWasMeant) {
  const std::vector<std::string> known = {"train.steps", "train.batch", "train.seed", "optimizer.lr"};
  EXPECT_EQ(nearest("train.stepz", known), "train.steps");
  EXPECT_EQ(nearest("trainsteps", known), "train.steps");
  EXPECT_EQ(nearest("train.bacth", known), "train.batch");
  EXPECT_EQ(nearest("optimiser.lr", known), "optimizer.lr");
  EXPECT_EQ(nearest("", known), "train.seed");  // the shortest is the fewest insertions away
  EXPECT_EQ(nearest("anything", {}), "");
}

}  // namespace
}  // namespace crate
