// crate scale: loss against size over several experiments, as fitted laws and a figure.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "work/compare/scaling.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::vector<std::string> folders;
  double at = 124e6;
  std::string out;
};

void print_points(const std::vector<ScalingCurve>& curves) {
  fmt::print("{:<14} {:>12} {:>14} {:>6} {:>12}   {}\n", "arm", "parameters", "training FLOPs", "seeds", "nats",
             "less the reference (95 %)");
  for (const ScalingCurve& curve : curves) {
    for (const ScalingPoint& p : curve.points) {
      const std::string apart = curve.reference ? "-"
                                : std::isfinite(p.half_width)
                                    ? fmt::format("{:+.4f} +- {:.4f}", p.difference, p.half_width)
                                    : fmt::format("{:+.4f}, one seed", p.difference);
      fmt::print("{:<14} {:>12.0f} {:>14.3e} {:>6} {:>12.4f}   {}\n", curve.arm, p.parameters, p.flops, p.seeds, p.loss,
                 apart);
    }
  }
}

void print_law(const std::string& arm, const std::string& x, const ScalingLaw& law, double at) {
  fmt::print("{}: loss falls as {}^{:.4f} +- {:.4f} (between the last two as ^{:.4f}); at {:.3g}: {:.3f}", arm, x,
             law.plain.exponent, law.plain.error, law.plain.last_exponent, at, law.plain.at(at));
  if (law.floored)
    fmt::print(", with a floor of {:.3f} {:.3f} (^{:.3f})", law.floored->floor, law.floored->at(at),
               law.floored->above.exponent);
  fmt::print("\n");
}

void print(const Options& o, const std::vector<ScalingCurve>& curves) {
  print_points(curves);
  fmt::print("\n");
  double largest = 0;
  for (const ScalingCurve& c : curves) {
    print_law(c.arm, "parameters", c.by_parameters, o.at);
    print_law(c.arm, "FLOPs", c.by_flops, flops_at(c, o.at));
    largest = std::max(largest, c.points.back().parameters);
  }
  if (o.at > largest)
    fmt::print("{:.3g} parameters are {:.0f} times the largest measured: a prediction, not a result\n", o.at,
               o.at / largest);
}

nlohmann::json json_of(const ScalingLaw& law, double at) {
  nlohmann::json out = {{"factor", law.plain.factor},
                        {"exponent", law.plain.exponent},
                        {"error", law.plain.error},
                        {"last_exponent", law.plain.last_exponent},
                        {"at", at},
                        {"loss_at", law.plain.at(at)}};
  if (law.floored)
    out["floored"] = {{"floor", law.floored->floor},
                      {"factor", law.floored->above.factor},
                      {"exponent", law.floored->above.exponent},
                      {"loss_at", law.floored->at(at)}};
  return out;
}

nlohmann::json json_of(const ScalingCurve& curve, double at) {
  nlohmann::json points = nlohmann::json::array();
  for (const ScalingPoint& p : curve.points) {
    nlohmann::json one = {{"experiment", p.experiment},
                          {"parameters", p.parameters},
                          {"flops", p.flops},
                          {"loss", p.loss},
                          {"seeds", p.seeds}};
    if (!curve.reference) one["difference"] = p.difference;
    if (!curve.reference && std::isfinite(p.half_width)) one["half_width_95"] = p.half_width;
    points.push_back(one);
  }
  return {{"arm", curve.arm},
          {"reference", curve.reference},
          {"points", points},
          {"by_parameters", json_of(curve.by_parameters, at)},
          {"by_flops", json_of(curve.by_flops, flops_at(curve, at))}};
}

void run(const Options& o) {
  std::optional<AtomicFile> out;
  if (!o.out.empty()) out.emplace(o.out);
  const std::vector<ScalingCurve> curves = scaling_of(o.folders);
  if (out) {
    out->write(figure_of(curves));
    out->commit();
  }
  if (!o.json) return print(o, curves);
  nlohmann::json all = nlohmann::json::array();
  for (const ScalingCurve& c : curves) all.push_back(json_of(c, o.at));
  fmt::print("{}\n", nlohmann::json{{"curves", all}}.dump());
}

}  // namespace

void add_scale(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "scale", "how loss falls with size, over several experiments of crate compare",
                            "crate scale out/scale/* --at 124e6 -o scaling.svg", *o);
  c->add_option("folders", o->folders, "folders of crate compare, one a size, three or more")->required();
  c->add_option("--at", o->at, "parameters to predict the loss at")->capture_default_str()->check(positive());
  c->add_option("-o", o->out, "an SVG figure");
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
