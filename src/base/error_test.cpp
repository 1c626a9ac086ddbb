#include "base/error.h"

#include <gtest/gtest.h>

namespace crate {

TEST(Error, CarriesTheFormattedMessage) {
  try {
    require(false, "[ista] dict must be (m, {}), came ({}, {})", 384, 384, 1536);
    FAIL() << "require(false) returned";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "[ista] dict must be (m, 384), came (384, 1536)");
  }
  EXPECT_NO_THROW(require(true, "never seen"));
}

}  // namespace crate
