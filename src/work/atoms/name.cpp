#include "work/atoms/name.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "base/rng.h"

namespace crate {
namespace {

// A name in the making: its text, and what it predicts.
struct Candidate {
  std::string text, kind;
  std::function<float(const Example&)> predict;
  double train = -1;      // its correlation on the examples it was made on
  std::size_t parts = 1;  // tokens or features that it names
};

std::string quoted(std::string_view bytes) {
  std::string out = "\"";
  for (const char c : bytes) {
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (c == '"')
      out += '\'';
    else
      out += c;
  }
  return as_utf8(out + "\"");
}

std::vector<float> predictions(const ExampleSet& set, const std::function<float(const Example&)>& predict) {
  std::vector<float> out;
  out.reserve(set.tokens.size());
  for (const Example& e : set.tokens) out.push_back(predict(e));
  return out;
}

double score_on(const ExampleSet& set, const std::function<float(const Example&)>& predict) {
  return correlation(predictions(set, predict), set.values());
}

// Rows of one length by how much of the variance of the examples they explain, being above the mean; largest first.
std::vector<int32_t> heaviest(const ExampleSet& set, const TableSimulator& table, int length) {
  std::unordered_map<int32_t, int> times;
  for (const Example& e : set.tokens)
    if (const int32_t row = length == 1 ? e.ngrams.one : e.ngrams.two; row >= 0) ++times[row];
  std::vector<std::pair<double, int32_t>> order;
  for (const auto& [row, n] : times)
    if (const double above = table.of_row(row) - table.mean(); above > 0) order.emplace_back(-n * above * above, row);
  std::sort(order.begin(), order.end());
  std::vector<int32_t> out;
  for (const auto& [m, row] : order) {
    if (out.size() >= 6 || m > 0.15 * order.front().first) break;
    out.push_back(row);
  }
  return out;
}

Candidate ngram_candidate(const Observation& seen, const ExampleSet& set, const TableSimulator& table, int length) {
  Candidate out;
  out.kind = length == 1 ? "token" : "n-gram";
  const std::vector<int32_t> rows = heaviest(set, table, length);
  if (rows.empty()) return out;
  std::vector<std::pair<int32_t, float>> values;  // few
  std::vector<std::string> shown;
  for (const int32_t row : rows) {
    const std::string text = quoted(seen.ngram_text(row));
    if (std::find(shown.begin(), shown.end(), text) == shown.end()) {
      if (shown.size() == 4) break;
      shown.push_back(text);
    }
    values.emplace_back(row, table.of_row(row));
  }
  out.text = fmt::format("{}", fmt::join(shown, ", "));
  out.predict = [values, mean = table.mean(), length](const Example& e) {
    const int32_t row = length == 1 ? e.ngrams.one : e.ngrams.two;
    for (const auto& [known, value] : values)
      if (known == row) return value;
    return mean;
  };
  out.train = score_on(set, out.predict);
  out.parts = shown.size();
  return out;
}

bool holds(const Example& e, int32_t feature) {
  return std::binary_search(e.features.begin(), e.features.end(), feature);
}

// Correlation of the indicator of every feature with the activations of the examples where `given` holds, taken
// against all examples.
std::vector<double> indicator_correlations(const ExampleSet& set, int64_t features, int32_t given) {
  std::vector<double> counts(static_cast<std::size_t>(features)), sums(counts.size());
  double sum = 0, square = 0;
  for (const Example& e : set.tokens) {
    sum += e.value;
    square += static_cast<double>(e.value) * e.value;
    if (given >= 0 && !holds(e, given)) continue;
    for (const int32_t f : e.features) {
      counts[static_cast<std::size_t>(f)] += 1;
      sums[static_cast<std::size_t>(f)] += e.value;
    }
  }
  const auto n = static_cast<double>(set.tokens.size());
  const double variance = square - sum * sum / n;
  for (std::size_t f = 0; f < counts.size(); ++f) {
    const double c = counts[f], spread = c - c * c / n;
    sums[f] = c < 4 || spread <= 0 || variance <= 0 ? -1 : (sums[f] - c * sum / n) / std::sqrt(spread * variance);
  }
  return sums;
}

void add_feature_candidates(const Observation& seen, const ExampleSet& set, std::vector<Candidate>& to) {
  const auto best = [](const std::vector<double>& scores) {
    return static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  };
  const std::vector<double> alone = indicator_correlations(set, seen.features(), -1);
  if (alone.empty()) return;
  const int32_t first = best(alone);
  const double score = alone[static_cast<std::size_t>(first)];
  if (score <= 0) return;
  to.push_back({seen.feature_name(first), "feature",
                [first](const Example& e) { return holds(e, first) ? 1.0F : 0.0F; }, score});
  const std::vector<double> within = indicator_correlations(set, seen.features(), first);
  const int32_t second = best(within);
  if (second == first || within[static_cast<std::size_t>(second)] < 1.08 * score) return;
  to.push_back({seen.feature_name(first) + " + " + seen.feature_name(second), "features",
                [first, second](const Example& e) { return holds(e, first) && holds(e, second) ? 1.0F : 0.0F; },
                within[static_cast<std::size_t>(second)], 2});
}

// The best on the examples; one token or feature wins when it is nearly as good as any list, a token over a feature.
Candidate best_candidate(const Observation& seen, const ExampleSet& set, const TableSimulator& table) {
  std::vector<Candidate> all;
  for (const int length : {1, 2}) all.push_back(ngram_candidate(seen, set, table, length));
  add_feature_candidates(seen, set, all);
  const auto worth = [](const Candidate& c) {
    if (std::isnan(c.train)) return -1.0;
    const double said_shortly = c.kind == "feature" ? 1.1 : c.parts == 1 ? 1.11 : c.kind == "features" ? 1.05 : 1.0;
    return c.train * said_shortly;
  };
  return *std::max_element(all.begin(), all.end(),
                           [&](const Candidate& a, const Candidate& b) { return worth(a) < worth(b); });
}

double ratio(double a, double b) { return b > 0 ? a / b : 0; }
double f1_of(double hits, double active, double labelled) { return ratio(2 * hits, active + labelled); }

// Of every feature the threshold with the best F1 on one half, then its F1 on the other.
std::vector<ConceptMatch> concept_matches(const Observation& seen, const SiteStatistics& site, int64_t atom) {
  std::vector<std::pair<double, std::pair<int64_t, int>>> order;
  const int64_t all = seen.features();
  for (int64_t f = 0; f < all; ++f) {
    std::pair<double, std::pair<int64_t, int>> best{0, {f, 0}};
    for (int level = 0; level < site.sizes().levels; ++level) {
      const double f1 =
          f1_of(site.joint(atom, false, f, level), site.joint(atom, false, all, level), seen.feature_count(f, false));
      if (f1 > best.first) best = {f1, {f, level}};
    }
    if (best.first > 0) order.push_back(best);
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.first > b.first || (a.first == b.first && a.second < b.second);
  });
  // Five, the best concept of the inventory or class of images among them.
  constexpr std::size_t listed = 5;
  const auto concept_at =
      std::find_if(order.begin(), order.end(), [&](const auto& o) { return seen.is_concept(o.second.first); });
  if (concept_at != order.end() && concept_at - order.begin() >= std::ptrdiff_t{listed})
    std::rotate(order.begin() + (listed - 1), concept_at, concept_at + 1);
  std::vector<ConceptMatch> out;
  for (const auto& [f1_train, which] : order) {
    if (out.size() == listed) break;
    const auto [f, level] = which;
    const double hits = site.joint(atom, true, f, level), active = site.joint(atom, true, all, level);
    const double labelled = seen.feature_count(f, true);
    out.push_back({seen.feature_name(f), site.threshold(level, atom), f1_train, f1_of(hits, active, labelled),
                   ratio(hits, active), ratio(hits, labelled)});
  }
  return out;
}

}  // namespace

AtomExamples examples_of(const Observation& seen, const Windows& windows, int64_t layer, int64_t atom) {
  const SiteStatistics& site = seen.site(layer);
  AtomExamples out;
  const float* column = site.sample().data() + atom;
  int64_t tops = 0;
  for (int64_t k = 0; k < top_excerpts; ++k) {
    if (const Excerpt& e = site.top(atom, false, k); e.document >= 0) windows.append(e, out.train);
    if (const Excerpt& e = site.top(atom, true, k); e.document >= 0) {
      windows.append(e, out.top_and_random);
      ++tops;
    }
  }
  for (int64_t k = 0; k < active_excerpts; ++k)
    if (const Excerpt& e = site.active(atom, false, k); e.document >= 0) windows.append(e, out.train);
  int64_t random = 0;
  for (const SampleExcerpt& e : seen.sample()) {
    const int64_t stride = site.sizes().atoms;
    if (!is_held_out(e.document)) {
      windows.append(e, column, stride, out.train);
      continue;
    }
    windows.append(e, column, stride, out.random_only);
    if (random++ < tops) windows.append(e, column, stride, out.top_and_random);
  }
  return out;
}

double permutation_p(const ExampleSet& set, const std::vector<float>& predicted, const NameOptions& options,
                     uint64_t address) {
  const std::vector<float> values = set.values();
  const double real = correlation(predicted, values);
  if (std::isnan(real)) return 1;
  const Rng rng(options.seed, Stream::sample);
  std::vector<float> permuted(predicted.size());
  std::vector<std::size_t> order(set.excerpts());
  int as_good = 0;
  for (int p = 0; p < options.permutations; ++p) {
    std::iota(order.begin(), order.end(), 0);
    uint64_t draw = static_cast<uint64_t>(p) << 16;
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i, 79, address ^ draw++)]);
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::size_t from = set.begin[order[i]], n = set.begin[order[i] + 1] - from;
      const std::size_t to = set.begin[i], length = set.begin[i + 1] - to;
      std::size_t at = rng.below(n, 80, address ^ draw++);  // turned round by so many tokens
      for (std::size_t k = 0; k < length; at = 0) {
        const std::size_t some = std::min(n - at, length - k);
        std::copy_n(predicted.data() + from + at, some, permuted.data() + to + k);
        k += some;
      }
    }
    const double chance = correlation(permuted, values);
    if (!std::isnan(chance) && chance >= real) ++as_good;
  }
  return (1.0 + as_good) / (1.0 + options.permutations);
}

Meaning meaning_of(const Observation& seen, int64_t layer, int64_t atom, const AtomExamples& examples,
                   const NameOptions& options) {
  const SiteStatistics& site = seen.site(layer);
  Meaning out;
  if (site.moments(atom).positive == 0) return out;
  const TableSimulator table(seen, site, atom);
  std::vector<float> rest;
  for (const Example& e : examples.train.tokens) rest.push_back(e.value - table.s1(e));
  const Tree tree(examples.train.tokens, rest, seen.features(), 4);
  out.scores = {{"S0", 0, 0}, {"S1", 0, 0}, {"S2", 0, 0}};
  for (const auto& [set, score] : {std::pair(&examples.top_and_random, &SimulatorScore::top_and_random),
                                   std::pair(&examples.random_only, &SimulatorScore::random_only)}) {
    const std::vector<float> values = set->values();
    std::array<std::vector<float>, 3> predicted;
    for (const Example& e : set->tokens) {
      const float s0 = table.s0(e), s1 = table.s1_from(s0, e);
      predicted[0].push_back(s0), predicted[1].push_back(s1), predicted[2].push_back(s1 + tree.predict(e));
    }
    for (std::size_t i = 0; i < 3; ++i) out.scores[i].*score = correlation(predicted[i], values);
  }
  out.concepts = concept_matches(seen, site, atom);
  const Candidate guess = best_candidate(seen, examples.train, table);
  if (!guess.predict) return out;
  out.guess = guess.text;
  out.kind = guess.kind;
  out.scores.push_back(
      {"name", score_on(examples.top_and_random, guess.predict), score_on(examples.random_only, guess.predict)});
  out.score = std::isnan(out.scores.back().top_and_random) ? 0 : out.scores.back().top_and_random;
  const auto address = (static_cast<uint64_t>(layer) << 48) ^ (static_cast<uint64_t>(atom) << 32);
  if (out.score >= options.least_score)
    out.p_value =
        permutation_p(examples.top_and_random, predictions(examples.top_and_random, guess.predict), options, address);
  if (out.score >= options.least_score && out.p_value <= options.level) out.name = out.guess;
  return out;
}

}  // namespace crate
