#include "work/measure/report.h"

#include <nlohmann/json.hpp>

#include "work/draw/chart.h"

namespace crate {
namespace {

using nlohmann::json;

json json_of(const Spread& s) { return {{"mean", s.mean()}, {"deviation", s.deviation()}}; }

json json_of(const Rates& r) {
  return {{"rate", json_of(r.rate)},
          {"rate_unit", json_of(r.rate_unit)},
          {"rate_c", json_of(r.rate_c)},
          {"rate_c_unit", json_of(r.rate_c_unit)}};
}

json json_of(const Bases& b) {
  json out = {{"within", b.within},           {"between", b.between}, {"overlap", b.overlap},
              {"overlap_max", b.overlap_max}, {"rank", b.rank},       {"spectrum", b.spectrum}};
  if (b.cosine) {
    out["cosine"] = *b.cosine;
    out["cosine_per_head"] = b.cosine_per_head;
  }
  return out;
}

json json_of(const LayerMeasure& layer) {
  json out = {{"z_pre", json_of(layer.pre)},
              {"z_mid", json_of(layer.mid)},
              {"z_post", json_of(layer.post)},
              {"rate_c_step", json_of(layer.rate_c_step)},
              {"nonzero", json_of(layer.nonzero)},
              {"bases", json_of(layer.bases)},
              {"coords",
               {{"rank", layer.coords_rank},
                {"effective_rank", layer.coords_effective_rank},
                {"spectrum", layer.coords_spectrum}}}};
  if (layer.objective_step) {
    out["objective"] = {{"before", json_of(*layer.objective_before)},
                        {"after", json_of(*layer.objective_after)},
                        {"step", json_of(*layer.objective_step)},
                        {"fell", layer.objective_fell}};
  }
  return out;
}

Line line_of(const Measurement& m, const std::string& name, const Spread& (*quantity)(const LayerMeasure&)) {
  Line line{name, {}, {}, true};
  for (std::size_t i = 0; i < m.layers.size(); ++i) {
    const Spread& s = quantity(m.layers[i]);
    line.points.emplace_back(static_cast<double>(i + 1), s.mean());
    line.deviation.push_back(s.deviation());
  }
  return line;
}

}  // namespace

json json_of(const Measurement& m) {
  json layers = json::array();
  for (const LayerMeasure& layer : m.layers) layers.push_back(json_of(layer));
  json warnings = json::array();
  for (const LayerWarning& warning : warnings_of(m)) warnings.push_back(warning.text);
  return {{"family", m.family},     {"squared_precision", m.squared_precision},
          {"samples", m.samples},   {"tokens", m.tokens},
          {"dim", m.dim},           {"heads", m.heads},
          {"head_dim", m.head_dim}, {"layers", layers},
          {"seconds", m.seconds},   {"warnings", warnings}};
}

json summary_of(const Measurement& m) {
  json out = json::object();
  for (const LayerMeasure& layer : m.layers) {
    out["layer_rate"].push_back(layer.pre.rate_unit.mean());
    out["layer_rate_c"].push_back(layer.pre.rate_c_unit.mean());
    out["layer_rate_c_step"].push_back(layer.rate_c_step.mean());
    out["layer_nonzero"].push_back(layer.nonzero.mean());
    out["layer_between"].push_back(layer.bases.between);
    if (layer.bases.cosine) out["layer_cosine"].push_back(*layer.bases.cosine);
    if (layer.objective_step) {
      out["layer_objective_before"].push_back(layer.objective_before->mean());
      out["layer_objective_after"].push_back(layer.objective_after->mean());
    }
  }
  return out;
}

std::string figure_of(const std::vector<Measurement>& measurements, const std::vector<std::string>& names) {
  Chart rate{"coding rate of the attention half", "layer index", "R^c(Z | U), nats", {}, false, true};
  Chart nonzero{
      "sparsity of the coding half", "layer index", "|Z|_0 / (d N), share of codes that are not 0", {}, false, true};
  for (std::size_t i = 0; i < measurements.size(); ++i) {
    rate.lines.push_back(
        line_of(measurements[i], names[i], [](const LayerMeasure& l) -> const Spread& { return l.pre.rate_c_unit; }));
    nonzero.lines.push_back(
        line_of(measurements[i], names[i], [](const LayerMeasure& l) -> const Spread& { return l.nonzero; }));
  }
  return svg_of(std::vector<Chart>{rate, nonzero});
}

}  // namespace crate
