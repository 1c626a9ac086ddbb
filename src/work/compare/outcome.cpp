#include "work/compare/outcome.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "work/draw/chart.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr double budgets_meet = 0.02;  // relative
constexpr double times_meet = 0.05;    // a machine is never as quiet as a count

std::vector<double> losses(const ArmResult& arm) {
  std::vector<double> out;
  for (const RunResult& r : arm.runs) out.push_back(r.loss);
  return out;
}

bool apart(double ratio, double allowed) { return std::abs(std::log(ratio)) > allowed; }

// ", but with 1.31x its parameters": what a verdict at unequal budgets must add.
std::string budget_caveat(const Comparison& c, const ArmResult& arm) {
  const ArmResult& reference = c.reference_arm();
  const double parameters = arm.budget.parameters / reference.budget.parameters,
               flops = arm.budget.flops / reference.budget.flops, seconds = arm.seconds() / reference.seconds();
  std::vector<std::string> parts;
  if (c.match != Match::flops && c.match != Match::time && apart(parameters, budgets_meet))
    parts.push_back(fmt::format("{:.2f}x its parameters", parameters));
  if (c.match != Match::parameters && c.match != Match::time && apart(flops, budgets_meet))
    parts.push_back(fmt::format("{:.2f}x its FLOPs", flops));
  if (c.match == Match::time && reference.seconds() > 0 && apart(seconds, times_meet))
    parts.push_back(fmt::format("{:.2f}x its training time", seconds));
  return parts.empty() ? "" : fmt::format(", with {}", fmt::join(parts, " and "));
}

json finite(double x) { return std::isfinite(x) ? json(x) : json(nullptr); }

json json_of(const Estimate& e) { return {{"mean", e.mean}, {"half_width_95", finite(e.half_width)}}; }

json json_of(const std::vector<RunResult>& runs) {
  json out = json::array();
  for (const RunResult& r : runs) {
    json one = {{"seed", r.seed}, {"loss", finite(r.loss)}, {"code_nonzero", r.nonzero},
                {"unit", r.unit}, {"seconds", r.seconds},   {"curve", r.curve}};
    for (const auto& [name, value] : r.metrics) one[name] = finite(value);
    out.push_back(one);
  }
  return out;
}

double training_flops(const Recipe& r, const Budget& budget) {
  const int64_t units = r.train.steps * r.train.batch * (is_image(r.model.family) ? 1 : r.model.context);
  return budget.flops * static_cast<double>(units);
}

json json_of(const ArmResult& arm) {
  json tries = json::array(), controls = json::object();
  for (const RateTry& t : arm.tries) tries.push_back({{"lr", t.lr}, {"loss", finite(t.loss)}});
  for (const ControlResult& c : arm.controls) controls[name_of(c.control)] = json_of(c.runs);
  return {{"name", arm.name},
          {"config", json::parse(to_json(arm.recipe.model))},
          {"parameters", arm.budget.parameters},
          {"training_flops_per_token", arm.budget.flops},
          {"training_flops", training_flops(arm.recipe, arm.budget)},
          {"mismatch", arm.mismatch},
          {"lr", arm.recipe.optimizer.lr},
          {"steps", arm.recipe.train.steps},
          {"tries", tries},
          {"runs", json_of(arm.runs)},
          {"controls", controls}};
}

}  // namespace

int64_t ArmResult::diverged() const {
  return std::count_if(runs.begin(), runs.end(), [](const RunResult& r) { return !std::isfinite(r.loss); });
}

Estimate ArmResult::loss() const {
  std::vector<double> values = losses(*this);
  std::erase_if(values, [](double x) { return !std::isfinite(x); });
  return estimate(values);
}

double ArmResult::seconds() const {
  const double sum =
      std::accumulate(runs.begin(), runs.end(), 0.0, [](double s, const RunResult& r) { return s + r.seconds; });
  return runs.empty() ? 0 : sum / static_cast<double>(runs.size());
}

const ArmResult& Comparison::reference_arm() const {
  const auto it = std::find_if(arms.begin(), arms.end(), [&](const ArmResult& a) { return a.name == reference; });
  require(it != arms.end(), "[compare] no arm '{}'", reference);
  return *it;
}

std::string Comparison::unit() const {
  const ArmResult& arm = reference_arm();
  const std::string units = arm.runs.empty() ? "" : arm.runs.front().unit;
  return units.empty() ? "token" : units.substr(0, units.size() - 1);
}

Estimate Comparison::difference(const ArmResult& arm) const {
  require(arm.diverged() == 0 && reference_arm().diverged() == 0,
          "[compare] a run of {} or {} diverged: there is no difference to take", arm.name, reference);
  return paired_difference(losses(arm), losses(reference_arm()));
}

std::string verdict(const Comparison& comparison, const ArmResult& arm) {
  for (const ArmResult* a : {&arm, &comparison.reference_arm()}) {
    if (a->diverged() > 0)
      return fmt::format("{} and {}: no verdict, {} of {} runs of {} diverged", arm.name, comparison.reference,
                         a->diverged(), a->runs.size(), a->name);
  }
  const Estimate d = comparison.difference(arm);
  const std::string unit = (comparison.unit() == "image" ? "an " : "a ") + comparison.unit();
  const std::string caveat = budget_caveat(comparison, arm);
  if (!std::isfinite(d.half_width))
    return fmt::format("{}: {:+.4f} nats {} against {} with one seed{}; nothing follows from one", arm.name, d.mean,
                       unit, comparison.reference, caveat);
  const std::string numbers =
      fmt::format("{:.4f} +- {:.4f} nats {} (95 %, {} seeds)", std::abs(d.mean), d.half_width, unit, arm.runs.size());
  if (std::abs(d.mean) <= d.half_width)
    return fmt::format("{} and {} cannot be told apart: {}{}{}", arm.name, comparison.reference, d.mean < 0 ? "-" : "+",
                       numbers, caveat);
  return fmt::format("{} is {} than {} by {}{}", arm.name, d.mean < 0 ? "better" : "worse", comparison.reference,
                     numbers, caveat);
}

std::vector<std::string> notes(const Comparison& comparison) {
  std::vector<std::string> out;
  for (const ArmResult& arm : comparison.arms) {
    if (arm.tries.size() < 2) continue;
    const auto [low, high] = std::minmax_element(arm.tries.begin(), arm.tries.end(),
                                                 [](const RateTry& a, const RateTry& b) { return a.lr < b.lr; });
    const double lr = arm.recipe.optimizer.lr;
    if (lr == low->lr || lr == high->lr)
      out.push_back(fmt::format("{} did best at {:g}, the edge of the learning rates tried: another may suit it better",
                                arm.name, lr));
  }
  const bool searched = std::any_of(comparison.arms.begin(), comparison.arms.end(),
                                    [](const ArmResult& a) { return a.tries.size() >= 2; });
  if (!searched) out.emplace_back("no learning rates were searched: each arm ran at the one its recipe gives");
  if (comparison.arms.size() > 2)
    out.push_back(fmt::format("each interval stands alone: of many at 95 %, one in twenty misses; here are {}",
                              comparison.arms.size() - 1));
  return out;
}

std::string to_json(const Comparison& comparison) {
  json arms = json::array();
  for (const ArmResult& arm : comparison.arms) {
    json one = json_of(arm);
    if (!comparison.stopped) {
      one["diverged"] = arm.diverged();
      if (arm.diverged() < static_cast<int64_t>(arm.runs.size())) one["loss"] = json_of(arm.loss());
      if (arm.name != comparison.reference) {
        one["verdict"] = verdict(comparison, arm);
        if (arm.diverged() + comparison.reference_arm().diverged() == 0)
          one["difference"] = json_of(comparison.difference(arm));
      }
    }
    arms.push_back(one);
  }
  return json{{"reference", comparison.reference},
              {"match", name_of(comparison.match)},
              {"stopped", comparison.stopped},
              {"arms", arms},
              {"notes", comparison.stopped ? json::array() : json(notes(comparison))}}
      .dump();
}

std::string curves_svg(const Comparison& comparison) {
  Chart chart{"validation loss", "steps", "nats / " + comparison.unit(), {}, false};
  for (const ArmResult& arm : comparison.arms) {
    std::map<double, std::vector<double>> by_step;
    for (const RunResult& r : arm.runs) {
      for (const auto& [step, loss] : r.curve) by_step[step].push_back(loss);
    }
    Line line{arm.name, {}};
    for (const auto& [step, values] : by_step) line.points.emplace_back(step, estimate(values).mean);
    if (!line.points.empty()) chart.lines.push_back(std::move(line));
  }
  return chart.lines.empty() ? "" : svg_of(chart);
}

}  // namespace crate
