// Scaling: laws of experiments whose losses follow known ones, and folders that cannot be used.
#include "work/compare/scaling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "testing/folder.h"

namespace crate {
namespace {

using nlohmann::json;

json arm(const std::string& name, double parameters, double loss) {
  return {{"name", name},
          {"parameters", parameters},
          {"training_flops", 24 * parameters * parameters},
          {"diverged", 0},
          {"runs", {{{"seed", 1}}, {{"seed", 2}}}},
          {"loss", {{"mean", loss}, {"half_width_95", 0.01}}}};
}

class Scaling : public testing::Test {
 protected:
  static double white(double n) { return 0.5 + 9 * std::pow(n, -0.15); }
  static double twin(double n) { return 11 * std::pow(n, -0.14); }

  std::string size(double n, const json& more = json::object()) {
    json a = arm("white", n, white(n));
    a["difference"] = {{"mean", white(n) - twin(n)}, {"half_width_95", nullptr}};
    json file = {{"reference", "twin"}, {"stopped", false}, {"arms", {a, arm("twin", n, twin(n))}}};
    file.update(more);
    const std::string name = std::to_string(static_cast<int>(n));
    std::filesystem::create_directories(folder.at(name));
    folder.with(name + "/results.json", file.dump());
    return folder.at(name);
  }

  Folder folder;
};

TEST_F(Scaling, FindsTheLawsOfEachArm) {
  const auto curves = scaling_of({size(1e6), size(1e4), size(1e5), size(4e6), size(4e4)});
  ASSERT_EQ(curves.size(), 2u);
  const ScalingCurve &w = curves[0], &t = curves[1];
  EXPECT_EQ(w.arm, "white");
  EXPECT_FALSE(w.reference);
  EXPECT_TRUE(t.reference);
  EXPECT_EQ(w.points.front().parameters, 1e4);
  EXPECT_EQ(w.points.back().parameters, 4e6);
  EXPECT_NEAR(w.points[0].difference, white(1e4) - twin(1e4), 1e-12);
  EXPECT_TRUE(std::isinf(w.points[0].half_width));
  EXPECT_NEAR(t.by_parameters.plain.exponent, -0.14, 1e-9);
  EXPECT_NEAR(t.by_flops.plain.exponent, -0.07, 1e-9);
  EXPECT_NEAR(flops_at(t, 1e8), 24e16, 1e9);
  ASSERT_TRUE(w.by_parameters.floored.has_value());
  EXPECT_NEAR(w.by_parameters.floored->at(124e6), white(124e6), 2e-3);
  const std::string figure = figure_of(curves);
  EXPECT_NE(figure.find("training FLOPs"), std::string::npos);
}

TEST_F(Scaling, AnArmThatOneSizeLacksIsLeftOut) {
  json lone = {{"arms", {arm("twin", 2e4, 3.0)}}};
  const auto curves = scaling_of({size(1e4), size(2e4, lone), size(1e5)});
  ASSERT_EQ(curves.size(), 1u);
  EXPECT_EQ(curves[0].arm, "twin");
  EXPECT_FALSE(curves[0].by_parameters.floored.has_value());
}

TEST_F(Scaling, SaysWhichFolderCannotBeUsed) {
  const std::string a = size(1e4), b = size(1e5);
  EXPECT_THROW(scaling_of({a, b}), Error);
  EXPECT_THROW(scaling_of({a, b, folder.at("nowhere")}), Error);
  EXPECT_NE(message_of([&] { scaling_of({a, b, size(2e5, {{"stopped", true}})}); }).find("200000"), std::string::npos);
  EXPECT_NE(message_of([&] {
              scaling_of({a, b, size(2e5, {{"reference", "white"}})});
            }).find("white"),
            std::string::npos);
  EXPECT_NE(message_of([&] { scaling_of({a, b, size(2e5, {{"arms", 3}})}); }).find("200000"), std::string::npos);
  EXPECT_NE(message_of([&] { scaling_of({a, b, a}); }).find("of one size"), std::string::npos);
  json lost = {{"arms", {arm("twin", 2e5, 3.0)}}};
  lost["arms"][0]["diverged"] = 1;
  EXPECT_NE(message_of([&] { scaling_of({a, b, size(2e5, lost)}); }).find("diverged"), std::string::npos);
}

}  // namespace
}  // namespace crate
