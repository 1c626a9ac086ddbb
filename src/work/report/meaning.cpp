// How well the text alone predicts a unit: the simulators, names and concepts of work/atoms, on the report's own terms.
// A unit that is never on, or was silent in the excerpts, scores 0.
#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "work/atoms/name.h"
#include "work/atoms/text_observation.h"
#include "work/report/measures.h"

namespace crate {
namespace {

std::size_t z(int64_t i) { return static_cast<std::size_t>(i); }

double or_zero(double x) { return std::isnan(x) ? 0 : x; }

struct ConceptAt {
  int64_t feature = -1;
  int level = 0;
  double f1_fit = 0;
};

double f1_of(double hits, double active, double labelled) {
  return active + labelled > 0 ? 2 * hits / (active + labelled) : 0;
}

// The WordNet class and threshold that fit best on the documents not held out.
ConceptAt best_concept(const Observation& seen, const SiteStatistics& site, int64_t unit) {
  ConceptAt best;
  const int64_t all = seen.features();
  for (int64_t f = 0; f < all; ++f) {
    if (!seen.is_concept(f)) continue;
    for (int level = 0; level < site.sizes().levels; ++level) {
      const double f1 =
          f1_of(site.joint(unit, false, f, level), site.joint(unit, false, all, level), seen.feature_count(f, false));
      if (f1 > best.f1_fit) best = {f, level, f1};
    }
  }
  return best;
}

// Held-out F1 of the best class; 0 unless the class tells the unit's excerpts better than the class moved elsewhere.
double concept_score(const Observation& seen, int64_t layer, int64_t unit, const AtomExamples& examples,
                     const NameOptions& options) {
  const SiteStatistics& site = seen.site(layer);
  const ConceptAt best = best_concept(seen, site, unit);
  if (best.feature < 0) return 0;
  std::vector<float> holds;
  for (const Example& e : examples.top_and_random.tokens)
    holds.push_back(std::binary_search(e.features.begin(), e.features.end(), static_cast<int32_t>(best.feature)) ? 1
                                                                                                                 : 0);
  const auto address = (static_cast<uint64_t>(layer) << 48) ^ (static_cast<uint64_t>(unit) << 32) ^ 1;
  if (permutation_p(examples.top_and_random, holds, options, address) > options.level) return 0;
  return f1_of(site.joint(unit, true, best.feature, best.level), site.joint(unit, true, seen.features(), best.level),
               seen.feature_count(best.feature, true));
}

}  // namespace

void measure_meaning(const Measured& at, const Material& material, const MeaningOptions& options) {
  const bool rotated = at.variant == Variant::rotated;
  ObserveOptions collect;
  collect.max_tokens = options.tokens;
  collect.seed = options.seed;
  collect.inventory = has_wordnet() ? "supersenses" : "none";
  if (rotated)
    collect.look = [&](int64_t layer, const float* code, int64_t rows, float* out) {
      const Directions& d = at.view[z(layer)];
      d.read(code, rows, out, unit_count(at.subject.config()));
    };
  TextObservation seen(at.subject, material.tokenizer, material.text, collect);
  seen.read();
  const Windows windows(seen);
  const NameOptions names{.permutations = 199, .seed = options.seed};
  constexpr const char* ids[] = {"meaning.s0", "meaning.s1", "meaning.s2"};
  std::array<std::vector<double>, 3> top, random;
  std::vector<double> concepts, named;
  const int64_t layers = at.subject.config().layers;
  for (int64_t layer = 0; layer < layers; ++layer) {
    const Directions& d = at.view[z(layer)];
    for (int64_t k = 0; k < std::min(options.units, d.count()); ++k) {
      const int64_t unit = rotated ? k : d.unit(k * d.count() / std::min(options.units, d.count()));
      const AtomExamples examples = examples_of(seen, windows, layer, unit);
      const Meaning meaning = meaning_of(seen, layer, unit, examples, names);
      for (std::size_t s = 0; s < 3; ++s) {
        const bool silent = meaning.scores.size() <= s;
        top[s].push_back(silent ? 0 : or_zero(meaning.scores[s].top_and_random));
        random[s].push_back(silent ? 0 : or_zero(meaning.scores[s].random_only));
      }
      named.push_back(meaning.name.empty() ? 0 : 1);
      concepts.push_back(meaning.scores.empty() ? 0 : concept_score(seen, layer, unit, examples, names));
    }
  }
  for (std::size_t s = 0; s < 3; ++s) {
    at.card.add_layers(std::string(ids[s]) + ".top", at.model, at.variant, std::move(top[s]), layers);
    at.card.add_layers(std::string(ids[s]) + ".random", at.model, at.variant, std::move(random[s]), layers);
  }
  at.card.add_layers("meaning.named", at.model, at.variant, std::move(named), layers);
  if (has_wordnet()) at.card.add_layers("meaning.concept", at.model, at.variant, std::move(concepts), layers);
}

}  // namespace crate
