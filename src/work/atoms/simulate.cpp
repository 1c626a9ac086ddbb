#include "work/atoms/simulate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "base/error.h"

namespace crate {
namespace {

constexpr std::size_t expected_tokens = 96 * excerpt_tokens;  // of the examples of one atom: what to make room for

}  // namespace

std::vector<float> ExampleSet::values() const {
  std::vector<float> out;
  for (const Example& e : tokens) out.push_back(e.value);
  return out;
}

Windows::Windows(Observation& seen) : context_(seen.window_tokens()) {
  std::set<int64_t> needed;
  for (const SampleExcerpt& e : seen.sample()) needed.insert(e.begin / context_);
  const auto add = [&](const Excerpt& e) {
    if (e.document >= 0) needed.insert(e.begin / context_);
  };
  for (int64_t layer = 0; layer < static_cast<int64_t>(seen.sites().size()); ++layer) {
    const SiteStatistics& site = seen.site(layer);
    for (int64_t atom = 0; atom < site.sizes().atoms; ++atom) {
      for (const bool half : {false, true}) {
        for (int64_t k = 0; k < top_excerpts; ++k) add(site.top(atom, half, k));
        for (int64_t k = 0; k < active_excerpts; ++k) add(site.active(atom, half, k));
      }
    }
  }
  for (const int64_t w : needed) windows_.emplace(w, seen.window(w));
}

void Windows::append(int64_t begin, int64_t length, ExampleSet& to) const {
  const WindowInfo& w = windows_.at(begin / context_);
  if (to.tokens.empty()) to.tokens.reserve(expected_tokens);
  for (int64_t i = begin - w.begin; i < begin - w.begin + length; ++i)
    to.tokens.push_back({w.ngrams[static_cast<std::size_t>(i)], w.features.of(i), 0});
  to.begin.push_back(to.tokens.size());
}

void Windows::append(const Excerpt& e, ExampleSet& to) const {
  const std::size_t first = to.tokens.size();
  append(e.begin, e.length, to);
  for (std::size_t i = 0; i < e.length; ++i) to.tokens[first + i].value = e.values[i];
}

void Windows::append(const SampleExcerpt& e, const float* column, int64_t stride, ExampleSet& to) const {
  const std::size_t first = to.tokens.size();
  append(e.begin, e.length, to);
  for (int64_t i = 0; i < e.length; ++i)
    to.tokens[first + static_cast<std::size_t>(i)].value = column[(e.row + i) * stride];
}

double correlation(std::span<const float> a, std::span<const float> b) {
  require(a.size() == b.size(), "[atoms] {} predictions for {} activations", a.size(), b.size());
  double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
#pragma omp simd reduction(+ : sa, sb, saa, sbb, sab)
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i], y = b[i];
    sa += x, sb += y, saa += x * x, sbb += y * y, sab += x * y;
  }
  const auto n = static_cast<double>(a.size());
  const double va = saa - sa * sa / n, vb = sbb - sb * sb / n;
  // Rounding leaves a little variance where there is none.
  if (!(va > 1e-12 * saa) || !(vb > 1e-12 * sbb)) return std::numeric_limits<double>::quiet_NaN();
  return (sab - sa * sb / n) / std::sqrt(va * vb);
}

TableSimulator::TableSimulator(const Observation& seen, const SiteStatistics& site, int64_t atom)
    : seen_(seen),
      site_(site),
      atom_(atom),
      mean_(static_cast<float>(site.train_sum(atom) / std::max(1.0, seen.tokens_of(false)))) {}

float TableSimulator::shrunk(int32_t row, float towards) const {
  if (row < 0) return towards;
  constexpr double strength = 2;  // as if so many more tokens had been seen at the value it is drawn to
  return static_cast<float>((site_.ngram_sum(atom_, row) + strength * towards) / (seen_.ngram_count(row) + strength));
}

Tree::Tree(const std::vector<Example>& examples, const std::vector<float>& targets, int64_t features, int depth) {
  std::vector<int32_t> all(examples.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<int32_t>(i);
  grow(examples, targets, std::move(all), features, depth);
}

// The split that lowers the squared error most.
int32_t Tree::grow(const std::vector<Example>& examples, const std::vector<float>& targets,
                   std::vector<int32_t> members, int64_t features, int depth) {
  constexpr double shrink = 4, least = 8;
  double sum = 0;
  for (const int32_t i : members) sum += targets[static_cast<std::size_t>(i)];
  const auto n = static_cast<double>(members.size());
  const auto self = static_cast<int32_t>(nodes_.size());
  nodes_.push_back({-1, -1, -1, static_cast<float>(sum / (n + shrink))});
  if (depth == 0 || n < 2 * least) return self;
  struct With {
    float count = 0, sum = 0;
  };
  std::vector<With> with_feature(static_cast<std::size_t>(features));
  for (const int32_t i : members) {
    for (const int32_t f : examples[static_cast<std::size_t>(i)].features) {
      With& w = with_feature[static_cast<std::size_t>(f)];
      w.count += 1;
      w.sum += targets[static_cast<std::size_t>(i)];
    }
  }
  double best = 1e-9 * n;
  int32_t feature = -1;
  for (std::size_t f = 0; f < with_feature.size(); ++f) {
    const double c = with_feature[f].count, s = with_feature[f].sum;
    if (c < least || n - c < least) continue;
    const double gain = s * s / (c + shrink) + (sum - s) * (sum - s) / (n - c + shrink) - sum * sum / (n + shrink);
    if (gain > best) best = gain, feature = static_cast<int32_t>(f);
  }
  if (feature < 0) return self;
  std::vector<int32_t> with, without;
  for (const int32_t i : members) {
    const auto& own = examples[static_cast<std::size_t>(i)].features;
    (std::binary_search(own.begin(), own.end(), feature) ? with : without).push_back(i);
  }
  members.clear();
  const int32_t no = grow(examples, targets, std::move(without), features, depth - 1);
  const int32_t yes = grow(examples, targets, std::move(with), features, depth - 1);
  nodes_[static_cast<std::size_t>(self)] = {feature, no, yes, 0};
  return self;
}

float Tree::predict(const Example& e) const {
  const Node* node = nodes_.data();
  while (node->feature >= 0) {
    const bool holds = std::binary_search(e.features.begin(), e.features.end(), node->feature);
    node = &nodes_[static_cast<std::size_t>(holds ? node->with : node->without)];
  }
  return node->value;
}

}  // namespace crate
