#include "work/compare/scaling.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "work/draw/chart.h"

namespace crate {
namespace {

using nlohmann::json;
using Coordinate = double ScalingPoint::*;

json results_in(const std::string& folder) {
  const json file = json::parse(read_text_file(folder + "/results.json"), nullptr, false);
  require(file.is_object() && file.contains("arms") && file.contains("reference"),
          "[scale] {}/results.json is not what crate compare writes", folder);
  require(!file.value("stopped", false), "[scale] the experiment in {} was stopped; crate compare continues it",
          folder);
  return file;
}

ScalingPoint point_of(const json& arm, const std::string& folder) {
  const std::string name = arm.value("name", "?");
  require(arm.contains("training_flops") && arm.contains("loss"),
          "[scale] {}: arm {} has no loss or no FLOPs; run crate compare there once more", folder, name);
  require(arm.value("diverged", 0) == 0, "[scale] {}: a run of arm {} diverged", folder, name);
  ScalingPoint p{.experiment = folder,
                 .parameters = arm["parameters"].get<double>(),
                 .flops = arm["training_flops"].get<double>(),
                 .loss = arm["loss"]["mean"].get<double>(),
                 .seeds = static_cast<int64_t>(arm["runs"].size())};
  if (arm.contains("difference")) {
    const json& d = arm["difference"];
    p.difference = d["mean"].get<double>();
    p.half_width =
        d["half_width_95"].is_number() ? d["half_width_95"].get<double>() : std::numeric_limits<double>::infinity();
  }
  return p;
}

ScalingCurve& curve_for(std::vector<ScalingCurve>& curves, const std::string& arm) {
  const auto it = std::find_if(curves.begin(), curves.end(), [&](const ScalingCurve& c) { return c.arm == arm; });
  if (it != curves.end()) return *it;
  return curves.emplace_back(
      ScalingCurve{.arm = arm, .reference = false, .points = {}, .by_parameters = {}, .by_flops = {}});
}

std::vector<std::pair<double, double>> against(const ScalingCurve& curve, Coordinate x) {
  std::vector<std::pair<double, double>> out;
  for (const ScalingPoint& p : curve.points) out.emplace_back(p.*x, p.loss);
  return out;
}

ScalingLaw law_of(const ScalingCurve& curve, Coordinate x) {
  const auto points = against(curve, x);
  ScalingLaw law{fit_power_law(points), {}};
  if (points.size() > 3) law.floored = fit_floored_law(points);
  return law;
}

Chart chart_of(const std::vector<ScalingCurve>& curves, const std::string& x, Coordinate coordinate,
               ScalingLaw ScalingCurve::*law) {
  Chart chart{.title = "loss against " + x, .x = x, .y = "nats", .lines = {}, .log_x = true, .log_y = true};
  for (const ScalingCurve& c : curves)
    chart.lines.push_back({.name = fmt::format("{} ^{:.3f}", c.arm, (c.*law).plain.exponent),
                           .points = against(c, coordinate),
                           .dots = true});
  return chart;
}

}  // namespace

std::vector<ScalingCurve> scaling_of(const std::vector<std::string>& folders) {
  std::vector<ScalingCurve> curves;
  std::string reference;
  for (const std::string& folder : folders) {
    try {
      const json file = results_in(folder);
      const auto named = file["reference"].get<std::string>();
      require(reference.empty() || named == reference, "[scale] {} compares with {}, those before with {}", folder,
              named, reference);
      reference = named;
      for (const json& arm : file["arms"])
        curve_for(curves, arm.value("name", "?")).points.push_back(point_of(arm, folder));
    } catch (const json::exception& error) {
      fail("[scale] {}/results.json is not what crate compare writes: {}", folder, error.what());
    }
  }
  std::erase_if(curves, [&](const ScalingCurve& c) { return c.points.size() < folders.size(); });
  require(!curves.empty(), "[scale] no arm is in all of these experiments");
  for (ScalingCurve& curve : curves) {
    curve.reference = curve.arm == reference;
    std::sort(curve.points.begin(), curve.points.end(),
              [](const ScalingPoint& a, const ScalingPoint& b) { return a.parameters < b.parameters; });
    for (std::size_t i = 1; i < curve.points.size(); ++i) {
      const ScalingPoint &a = curve.points[i - 1], &b = curve.points[i];
      require(a.parameters < b.parameters, "[scale] {} and {} are of one size, {} parameters of {}", a.experiment,
              b.experiment, b.parameters, curve.arm);
    }
    curve.by_parameters = law_of(curve, &ScalingPoint::parameters);
    curve.by_flops = law_of(curve, &ScalingPoint::flops);
  }
  return curves;
}

double flops_at(const ScalingCurve& curve, double parameters) {
  std::vector<std::pair<double, double>> points;
  for (const ScalingPoint& p : curve.points) points.emplace_back(p.parameters, p.flops);
  return fit_power_law(points).at(parameters);
}

std::string figure_of(const std::vector<ScalingCurve>& curves) {
  return svg_of({chart_of(curves, "parameters", &ScalingPoint::parameters, &ScalingCurve::by_parameters),
                 chart_of(curves, "training FLOPs", &ScalingPoint::flops, &ScalingCurve::by_flops)});
}

}  // namespace crate
