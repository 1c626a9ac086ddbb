#include "work/report/measures.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.h"

namespace crate {
namespace {

std::size_t z(int64_t i) { return static_cast<std::size_t>(i); }

constexpr std::array<int64_t, 3> probe_sizes = {1, 5, 20};

double mean_of(const std::vector<double>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
}

/// Whether each judged example was told right, averaged over the layers, and the accuracy of each layer.
class Tally {
 public:
  void add_layer(const std::vector<uint8_t>& right) {
    if (sums_.empty()) sums_.resize(right.size());
    for (std::size_t i = 0; i < right.size(); ++i) sums_[i] += right[i];
    layers_.push_back(static_cast<double>(std::accumulate(right.begin(), right.end(), int64_t{0})) /
                      static_cast<double>(right.size()));
  }
  std::vector<double> items() const {
    std::vector<double> out;
    for (const double s : sums_) out.push_back(s / static_cast<double>(layers_.size()));
    return out;
  }
  const std::vector<double>& layers() const { return layers_; }

 private:
  std::vector<double> sums_, layers_;
};

// Rows `which` of a table, with label 1 where `is` says so.
template <class F>
LabelledRows rows_of(const std::vector<float>& table, int64_t width, const std::vector<int32_t>& which, F&& is) {
  LabelledRows out{width, {}, {}};
  for (const int32_t i : which) {
    out.x.insert(out.x.end(), table.begin() + i * width, table.begin() + (i + 1) * width);
    out.labels.push_back(is(i) ? 1 : 0);
  }
  return out;
}

// All places of a class and as many of the others, evenly over those: both classes weigh the same.
std::vector<int32_t> balanced(const Places& places, bool judged, WordClass c) {
  std::vector<int32_t> of, others;
  for (std::size_t i = 0; i < places.all.size(); ++i) {
    if ((places.judged[i] != 0) == judged) (places.all[i].word == c ? of : others).push_back(static_cast<int32_t>(i));
  }
  const std::size_t n = std::min(of.size(), others.size());
  std::vector<int32_t> out;
  for (const auto* list : {&of, &others}) {
    for (std::size_t i = 0; i < n; ++i) out.push_back((*list)[i * list->size() / n]);
  }
  return out;
}

}  // namespace

Places all_places(const Material& material) {
  std::vector<std::pair<Place, char>> both;
  for (const Place& p : material.fit_places) both.emplace_back(p, 0);
  for (const Place& p : material.judge_places) both.emplace_back(p, 1);
  std::sort(both.begin(), both.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.window, a.first.position) < std::pair(b.first.window, b.first.position);
  });
  Places out;
  for (const auto& [place, judged] : both) {
    out.all.push_back(place);
    out.judged.push_back(judged);
  }
  return out;
}

void measure_loss(ReportCard& card, int m, Variant v, LanguageModel& model, const Material& material) {
  std::vector<double> losses;
  for (const Window& w : material.windows) {
    if (!w.held_out || losses.size() == 200) continue;
    const auto n = static_cast<int64_t>(w.tokens.size()) - 1;
    std::vector<int32_t> in(w.tokens.begin(), w.tokens.end() - 1), out(w.tokens.begin() + 1, w.tokens.end());
    Run run(model.device());
    const CrossEntropy ce = model.loss(run, {in.data(), {1, n}, Dtype::i32}, {out.data(), {1, n}, Dtype::i32});
    losses.push_back(ce.loss.as<float>()[0]);
  }
  card.add("quality.loss", m, v, std::move(losses));
}

void measure_geometry(const Measured& at) {
  std::vector<double> density, dead, largest;
  const int64_t layers = at.subject.config().layers;
  for (int64_t l = 0; l < layers; ++l) {
    for (int64_t i = 0; i < at.view[z(l)].count(); ++i) {
      density.push_back(at.reading.density(l, i));
      dead.push_back(density.back() == 0 ? 1 : 0);
    }
    const std::vector<double> one = coherence(at.subject, l, at.view[z(l)]);
    largest.insert(largest.end(), one.begin(), one.end());
  }
  at.card.add_layers("geometry.density", at.model, at.variant, std::move(density), layers);
  at.card.add_layers("geometry.dead", at.model, at.variant, std::move(dead), layers);
  at.card.add_layers("geometry.coherence", at.model, at.variant, std::move(largest), layers);
}

void measure_word_classes(const Measured& at, const Places& places) {
  std::array<std::vector<double>, probe_sizes.size()> items;
  std::array<std::vector<std::vector<double>>, probe_sizes.size()> by_layer;
  for (int c = 0; c < word_classes; ++c) {
    const auto word = static_cast<WordClass>(c);
    const std::vector<int32_t> fit = balanced(places, false, word), judge = balanced(places, true, word);
    if (fit.empty() || judge.empty()) continue;
    std::array<Tally, probe_sizes.size()> tallies;
    for (int64_t l = 0; l < at.subject.config().layers; ++l) {
      const auto& table = at.reading.at_places[z(l)];
      const int64_t width = at.view[z(l)].count();
      const auto is = [&](int32_t i) { return places.all[z(i)].word == word; };
      const auto right = sparse_probe(rows_of(table, width, fit, is), rows_of(table, width, judge, is), probe_sizes);
      for (std::size_t k = 0; k < right.size(); ++k) tallies[k].add_layer(right[k]);
    }
    for (std::size_t k = 0; k < tallies.size(); ++k) {
      const auto more = tallies[k].items();
      items[k].insert(items[k].end(), more.begin(), more.end());
      by_layer[k].push_back(tallies[k].layers());
    }
  }
  for (std::size_t k = 0; k < probe_sizes.size(); ++k) {
    std::vector<double> layers;
    for (std::size_t l = 0; !by_layer[k].empty() && l < by_layer[k][0].size(); ++l) {
      std::vector<double> tasks;
      for (const auto& task : by_layer[k]) tasks.push_back(task[l]);
      layers.push_back(mean_of(tasks));
    }
    at.card.add(fmt::format("probe.pos.k{}", probe_sizes[k]), at.model, at.variant, std::move(items[k]),
                std::move(layers));
  }
}

void measure_sst2(const Measured& at, const Material& material) {
  if (material.sst2_fit.empty()) return;
  const auto fit = mean_values(at.subject, material.sst2_fit, at.view);
  const auto judge = mean_values(at.subject, material.sst2_judge, at.view);
  const auto labelled = [](const std::vector<float>& x, int64_t width, const std::vector<LabelledText>& texts) {
    LabelledRows out{width, x, {}};
    for (const LabelledText& t : texts) out.labels.push_back(t.label);
    return out;
  };
  std::array<Tally, probe_sizes.size()> tallies;
  for (std::size_t l = 0; l < fit.size(); ++l) {
    const int64_t width = at.view[l].count();
    const auto right = sparse_probe(labelled(fit[l], width, material.sst2_fit),
                                    labelled(judge[l], width, material.sst2_judge), probe_sizes);
    for (std::size_t k = 0; k < right.size(); ++k) tallies[k].add_layer(right[k]);
  }
  for (std::size_t k = 0; k < tallies.size(); ++k)
    at.card.add(fmt::format("probe.sst2.k{}", probe_sizes[k]), at.model, at.variant, tallies[k].items(),
                tallies[k].layers());
}

void measure_causality(const Measured& at, const Material& material, const CausalOptions& options) {
  const int64_t layers = at.subject.config().layers;
  CausalScores scores = causal_scores(at.subject, material.windows, at.view, at.reading, options);
  at.card.add_layers("causal.specificity", at.model, at.variant, std::move(scores.specificity), layers);
  at.card.add_layers("causal.steering", at.model, at.variant, std::move(scores.steering), layers);
  at.card.add_layers("causal.dose", at.model, at.variant, std::move(scores.dose), layers);
}

}  // namespace crate
