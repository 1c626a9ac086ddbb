#include "work/report/card.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr const char* faithfulness = "Faithfulness";
constexpr const char* meaning = "Meaning";
constexpr const char* probing = "Sparse probing";
constexpr const char* causality = "Causality";
constexpr const char* geometry = "Geometry";

json json_of(const Interval& i) {
  return {{"mean", i.mean}, {"low_95", i.low}, {"high_95", i.high}, {"items", i.items}, {"seeds", i.seeds}};
}

json json_of(const Cell& cell, int64_t layers) {
  json out = json_of(bootstrap(cell.samples));
  out["by_seed"] = cell.samples.seed_means();
  json by_layer = json::array();
  for (int64_t l = 0; l < layers; ++l) {
    const double mean = cell.layer_mean(static_cast<int>(l));
    if (std::isfinite(mean)) by_layer.push_back(mean);
  }
  if (!by_layer.empty()) out["by_layer"] = by_layer;
  return out;
}

}  // namespace

const char* name_of(Variant v) {
  constexpr const char* names[] = {"trained", "untrained", "rotated"};
  return names[static_cast<int>(v)];
}

const std::vector<Measure>& measures() {
  static const std::vector<Measure> list = {
      {"quality.loss", "Quality", "loss, nats a token", "mean -ln p(next token) on held-out windows", -1, false},
      {"faith.residual", faithfulness, "completeness residual",
       "|sum of all contributions - margin| / |margin|, the worst complete cut of a prompt, in float64", -1, false},
      {"faith.served", faithfulness, "margin of the float32 forward, distance",
       "|margin that the serving forward computes - margin| / |margin|: rounding, no part of the explanation", -1,
       false},
      {"faith.units50", faithfulness, "writers for 50 % of a margin",
       "parts that write the final stream, by |contribution|: fewest after which what is missing stays within half of "
       "the margin between the two likeliest tokens",
       -1, false},
      {"faith.units90", faithfulness, "writers for 90 %", "the same within a tenth of the margin", -1, false},
      {"faith.units99", faithfulness, "writers for 99 %", "the same within a hundredth of the margin", -1, false},
      {"faith.ablation", faithfulness, "predicted and actual ablation",
       "correlation, over units of a prompt, of the contribution with the change of the margin when the unit is "
       "removed and everything is computed again",
       1, true},
      {"meaning.s0.top", meaning, "token table, top and random",
       "S0: correlation of a unit's values with their mean by token, fitted on one half of the documents, on excerpts "
       "of the other (top and random ones)",
       1, true},
      {"meaning.s0.random", meaning, "token table, random only", "S0 on random excerpts alone", 1, true},
      {"meaning.s1.top", meaning, "n-grams, top and random", "S1: the same with back-off over pairs and triples", 1,
       true},
      {"meaning.s1.random", meaning, "n-grams, random only", "S1 on random excerpts alone", 1, true},
      {"meaning.s2.top", meaning, "feature tree, top and random",
       "S2: the same with a small regression tree over word shapes, places and lexicon classes", 1, true},
      {"meaning.s2.random", meaning, "feature tree, random only", "S2 on random excerpts alone", 1, true},
      {"meaning.concept", meaning, "concept F1",
       "held-out F1 of 'the unit is above its threshold' with the best WordNet class, chosen on the other half; 0 "
       "unless it beats label-permuted classes",
       1, true},
      {"meaning.named", meaning, "share of units named", "units whose automatic name beats the permutation null", 1,
       true},
      {"probe.pos.k1", probing, "word class, 1 unit",
       "held-out accuracy (chance 1/2) of a logistic regression on the k units picked by mean difference; noun, verb, "
       "adjective, adverb and function word against the rest; mean over all layers",
       1, true},
      {"probe.pos.k5", probing, "word class, 5 units", "the same with five", 1, true},
      {"probe.pos.k20", probing, "word class, 20 units", "the same with twenty", 1, true},
      {"probe.sst2.k1", probing, "SST-2, 1 unit",
       "sentiment from units averaged over the sentence; mean over all layers", 1, true},
      {"probe.sst2.k5", probing, "SST-2, 5 units", "the same with five", 1, true},
      {"probe.sst2.k20", probing, "SST-2, 20 units", "the same with twenty", 1, true},
      {"causal.specificity", causality, "ablation specificity",
       "A / (A + I): A = KL caused at the unit's own tokens, I = KL where it is off; 1/2 when all tokens change alike",
       1, true},
      {"causal.steering", causality, "steering at KL 0.1, nats",
       "ln of the rise in probability of the tokens that follow the unit, when it is driven at a cost of 0.1 nat a "
       "token",
       1, true},
      {"causal.dose", causality, "monotone dose", "share of units for which more drive gives more of them", 1, true},
      {"geometry.density", geometry, "density", "share of tokens at which a unit is on (value > 0)", 0, false},
      {"geometry.dead", geometry, "dead units", "share of units never on", -1, false},
      {"geometry.coherence", geometry, "coherence", "largest |cos| of what a unit writes with what another writes", -1,
       false},
  };
  return list;
}

const Measure& measure_of(const std::string& id) {
  for (const Measure& m : measures()) {
    if (m.id == id) return m;
  }
  fail("[report] there is no measure '{}'", id);
}

double Cell::layer_mean(int layer) const {
  double sum = 0;
  for (const auto& means : by_layer) {
    if (static_cast<std::size_t>(layer) >= means.size()) return std::numeric_limits<double>::quiet_NaN();
    sum += means[static_cast<std::size_t>(layer)];
  }
  return by_layer.empty() ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(by_layer.size());
}

void ReportCard::add(const std::string& id, int model, Variant v, std::vector<double> items,
                     std::vector<double> by_layer) {
  measure_of(id);
  for (const double x : items) require(std::isfinite(x), "[report] {} came out as no number", id);
  if (items.empty()) return;
  Cell& cell = cells[id][static_cast<std::size_t>(model)][static_cast<std::size_t>(v)];
  cell.samples.seeds.push_back(std::move(items));
  cell.by_layer.push_back(std::move(by_layer));
}

void ReportCard::add_layers(const std::string& id, int model, Variant v, std::vector<double> items, int64_t layers) {
  const auto n = static_cast<int64_t>(items.size());
  require(layers > 0 && n % layers == 0, "[report] {}: {} values for {} layers", id, n, layers);
  std::vector<double> means;
  for (int64_t l = 0; l < layers && n > 0; ++l) {
    const auto from = items.begin() + l * (n / layers);
    means.push_back(std::accumulate(from, from + n / layers, 0.0) / static_cast<double>(n / layers));
  }
  add(id, model, v, std::move(items), std::move(means));
}

const Cell* ReportCard::find(const std::string& id, int model, Variant v) const {
  const auto it = cells.find(id);
  if (it == cells.end()) return nullptr;
  const Cell& cell = it->second[static_cast<std::size_t>(model)][static_cast<std::size_t>(v)];
  return cell.empty() ? nullptr : &cell;
}

bool has_excess(const ReportCard& card, const Measure& m) {
  for (const int model : {0, 1}) {
    for (const Variant v : {Variant::trained, Variant::untrained}) {
      if (!card.find(m.id, model, v)) return false;
    }
  }
  return true;
}

Verdict verdict_on(const ReportCard& card, const Measure& m) {
  require(has_excess(card, m), "[report] {} was not measured on both models, trained and untrained", m.id);
  const auto at = [&](int model, Variant v) -> const Samples& { return card.find(m.id, model, v)->samples; };
  const Samples &a = at(0, Variant::trained), &b = at(0, Variant::untrained), &c = at(1, Variant::trained),
                &d = at(1, Variant::untrained);
  Verdict out{bootstrap_difference(a, b), bootstrap_difference(c, d), bootstrap_excess(a, b, c, d), -1};
  if (out.difference.excludes_zero() && m.better != 0) out.ahead = (out.difference.mean > 0) == (m.better > 0) ? 0 : 1;
  return out;
}

std::string to_json(const ReportCard& card) {
  json models = json::array(), values = json::object(), settings = json::object();
  for (const ReportedModel& m : card.models)
    models.push_back({{"name", m.name},
                      {"family", m.family},
                      {"folders", m.folders},
                      {"weights_sha256", m.hashes},
                      {"parameters", m.parameters},
                      {"layers", m.layers},
                      {"units_a_layer", m.units}});
  for (const auto& [key, value] : card.settings) settings[key] = value;
  for (const Measure& m : measures()) {
    json one = {{"title", m.title}, {"group", m.group}, {"formula", m.formula}, {"better", m.better}};
    bool any = false;
    for (const int model : {0, 1}) {
      for (const Variant v : variants) {
        const Cell* cell = card.find(m.id, model, v);
        if (!cell) continue;
        any = true;
        one[model == 0 ? "model" : "twin"][name_of(v)] =
            json_of(*cell, card.models[static_cast<std::size_t>(model)].layers);
      }
    }
    if (!any) continue;
    if (m.headline && has_excess(card, m)) {
      const Verdict v = verdict_on(card, m);
      one["excess"] = {{"model", json_of(v.white)},
                       {"twin", json_of(v.twin)},
                       {"difference", json_of(v.difference)},
                       {"ahead", v.ahead < 0    ? "neither"
                                 : v.ahead == 0 ? "model"
                                                : "twin"}};
    }
    values[m.id] = one;
  }
  return json{{"models", models}, {"settings", settings}, {"measures", values}}.dump(1, ' ', false,
                                                                                     json::error_handler_t::replace);
}

}  // namespace crate
