// Explanations add up: complete cuts, edges, and the frozen Jacobian of whole models.
#include "work/explain/explain.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "base/parallel.h"
#include "testing/models.h"
#include "work/explain/edges.h"
#include "work/explain/graph.h"
#include "work/explain/served.h"

namespace crate {
namespace {

/// A noisy small model, a batch for it, and targets: a token, a difference, a unit.
struct Bed {
  Bed(const ModelCase& c, DeviceOptions options, int64_t rows = 3, int64_t cols = 9)
      : device(options), model(device, c.config), batch(rows, cols, c.config.vocab, 5) {
    init_noisily(model, 7);
  }
  std::vector<int32_t> tokens() {
    const Tensor t = batch.tokens();
    return {t.as<int32_t>(), t.as<int32_t>() + t.numel()};
  }
  LanguageSubject subject() { return {model, tokens(), batch.tokens().shape[0]}; }
  static std::vector<Target> targets() {
    return {{.score = 4}, {.position = 6, .score = 3, .contrast = 11}, {.score = 2}};
  }
  Device device;
  LanguageModel model;
  Batch batch;
};

class Explain : public testing::TestWithParam<ModelCase> {};

double sum_of(const std::vector<double>& x) { return std::accumulate(x.begin(), x.end(), 0.0); }

/// Noisy weights may bring a score near 0, so the sums are judged as sums.
void expect_cuts_hold(const Explanation& e, double tolerance) {
  ASSERT_FALSE(e.cuts.empty());
  for (const Cut& cut : e.cuts) EXPECT_LE(cut.off(e.value), tolerance) << cut.at;
}

TEST_P(Explain, EveryCutSumsToTheTarget) {
  for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu}) {
    Bed bed(GetParam(), {.kind = kind});
    const LanguageSubject subject = bed.subject();
    const Walk walk(subject, Bed::targets());
    for (int64_t row = 0; row < 3; ++row) {
      const Explanation e = explain(walk, row);
      EXPECT_EQ(e.cuts.size(), static_cast<std::size_t>(2 * walk.layers() + 2));
      expect_cuts_hold(e, kind == DeviceKind::ref ? 1e-12 : 5e-6);
    }
  }
}

TEST_P(Explain, AUnitsOwnCutsSumToItsValue) {
  Bed bed(GetParam(), {.kind = DeviceKind::ref}, 1);
  const LanguageSubject subject = bed.subject();
  const Walk first(subject, {{.score = 4}});
  for (const Part& atom : explain(first, 0).atoms) {
    if (atom.unit.layer != 1) continue;
    const Walk walk(subject, {{.is_unit = true, .unit = atom.unit}});
    const Explanation e = explain(walk, 0);
    EXPECT_DOUBLE_EQ(e.value, atom.value);
    EXPECT_EQ(e.cuts.size(), 5U);  // embed, both of block 0, both of block 1
    expect_cuts_hold(e, 1e-12);
    EXPECT_LE(edges_among(walk, e, units_of(walk, e, 500)).residual(), 1e-12);
    break;
  }
}

TEST_P(Explain, AHeadIsTheSumOfWhatItLookedAt) {
  Bed bed(GetParam(), {.kind = DeviceKind::ref});
  const LanguageSubject subject = bed.subject();
  const Walk walk(subject, Bed::targets());
  const Explanation e = explain(walk, 1);
  ASSERT_FALSE(e.heads.empty());
  for (const Part& head : e.heads) {
    const auto sources = sources_of(walk, 1, head.unit);
    EXPECT_NEAR(sum_of(sources), head.gives, 1e-12 * (1 + std::abs(head.gives)));
    for (std::size_t j = static_cast<std::size_t>(head.unit.position) + 1; j < sources.size(); ++j)
      EXPECT_EQ(sources[j], 0);
  }
}

TEST_P(Explain, EffectsIntoEveryUnitSumToItAndContributionsAreConserved) {
  Bed bed(GetParam(), {.kind = DeviceKind::ref});
  const LanguageSubject subject = bed.subject();
  const Walk walk(subject, Bed::targets());
  for (int64_t row = 0; row < 2; ++row) {
    const Explanation e = explain(walk, row);
    const Edges edges = edges_among(walk, e, units_of(walk, e, 1 << 20));
    EXPECT_LE(edges.residual(), 1e-12);
    std::vector<double> passed(edges.units.size());
    for (const Edge& edge : edges.edges)
      passed[static_cast<std::size_t>(edge.from)] += edge.weight * edges.gives[static_cast<std::size_t>(edge.to)] /
                                                     edges.inflows[static_cast<std::size_t>(edge.to)].value;
    double scale = 0;
    for (const double g : edges.gives) scale = std::max(scale, std::abs(g));
    for (std::size_t i = 0; i + 1 < passed.size(); ++i)
      EXPECT_NEAR(passed[i], edges.gives[i], 1e-10 * scale) << name_of(edges.units[i], bed.model.config().family);
    for (const Inflow& in : edges.inflows) EXPECT_EQ(in.rest, 0);
  }
}

TEST_P(Explain, PrunedEffectsAreTheSameEffects) {
  Bed bed(GetParam(), {.kind = DeviceKind::ref});
  const LanguageSubject subject = bed.subject();
  const Walk walk(subject, Bed::targets());
  const Explanation e = explain(walk, 0);
  const auto named = [](const Edges& edges) {
    std::map<std::pair<Unit, Unit>, double> out;
    for (const Edge& edge : edges.edges)
      out[{edges.units[static_cast<std::size_t>(edge.from)], edges.units[static_cast<std::size_t>(edge.to)]}] =
          edge.weight;
    return out;
  };
  const auto all = named(edges_among(walk, e, units_of(walk, e, 1 << 20)));
  const Edges some = edges_among(walk, e, units_of(walk, e, 15));
  EXPECT_LE(some.residual(), 1e-12);
  for (const auto& [ends, weight] : named(some)) EXPECT_NEAR(all.at(ends), weight, 1e-12 * (1 + std::abs(weight)));
  const Graph graph = graph_of(some, 0.8, 0.98);
  EXPECT_TRUE(graph.keep.back());
  EXPECT_GT(graph.reached, 0);
  EXPECT_LE(graph.reached, 1 + 1e-12);
}

/// Atoms of block 0 and 1 that are active where the target looks, one a kind of change, and one position alone.
AtomChanges changes_of(const Explanation& e, Family family) {
  AtomChanges out;
  constexpr std::pair<Change, double> kinds[] = {
      {Change::scale, 0}, {Change::scale, 1.5}, {Change::set, 0.7}, {Change::add, 0.3}};
  for (std::size_t i = 0; i < 8 && i < e.atoms.size(); ++i) {
    const Unit& u = e.atoms[i].unit;
    const auto [change, value] = kinds[i % 4];
    std::vector<IndexRange> positions;
    if (i % 2 == 1) positions = {{u.position, u.position}};
    out.list.push_back({site_of(u.kind, u.layer, family), {{u.index, u.index}}, positions, change, value});
  }
  return out;
}

TEST_P(Explain, ChangedAtomsAddUpAndReachTheServedValue) {
  Bed bed(GetParam(), {.kind = DeviceKind::ref}, 1), serving(GetParam(), {.kind = DeviceKind::cpu}, 1);
  LanguageSubject subject = bed.subject(), served = serving.subject();
  const Target target{.score = 4, .contrast = 11};
  const Walk before(subject, {target});
  const AtomChanges changes = changes_of(explain(before, 0), bed.model.config().family);
  for (LanguageSubject* s : {&subject, &served}) s->change(changes);
  const Walk walk(subject, {target});
  const Explanation e = explain(walk, 0);
  EXPECT_GT(std::abs(e.value - before.value(0)), 1e-6);
  expect_cuts_hold(e, 1e-12);
  EXPECT_LE(edges_among(walk, e, units_of(walk, e, 1 << 20)).residual(), 1e-12);
  const Served s = served_by(served, walk);
  EXPECT_NEAR(s.value, e.value, 1e-5 * e.cuts.back().size);
  EXPECT_LE(s.differ, s.entries / 100);
  EXPECT_THROW(subject.change({{{"blocks.0.z_mid", {{0, 0}}, {}, Change::set, 1}}}), Error);
}

TEST_P(Explain, IsInvariantToBatchAndThreads) {
  Bed bed(GetParam(), {.kind = DeviceKind::cpu});
  const int threads = thread_count();
  const LanguageSubject subject = bed.subject();
  const Walk together(subject, Bed::targets());
  const Explanation in_batch = explain(together, 1);
  const std::vector<int32_t> tokens = bed.tokens();
  const LanguageSubject alone(bed.model, {tokens.begin() + 9, tokens.begin() + 18});
  for (const int t : {1, 2}) {
    set_thread_count(t);
    const Walk walk(alone, {Bed::targets()[1]});
    const Explanation e = explain(walk, 0);
    EXPECT_NEAR(e.value, in_batch.value, 1e-5 * std::abs(in_batch.value));
    std::map<Unit, double> gives;
    double scale = 0;
    for (const auto* parts : {&in_batch.heads, &in_batch.atoms})
      for (const Part& p : *parts) scale = std::max(scale, std::abs(gives[p.unit] = p.gives));
    for (const auto* parts : {&e.heads, &e.atoms})
      for (const Part& p : *parts) EXPECT_NEAR(p.gives, gives[p.unit], 1e-5 * scale);
  }
  set_thread_count(threads);
}

// A direction in the input rows: the frozen gradient against the imaginary part of a frozen complex forward.
TEST_P(Explain, FrozenJacobianIsTheComplexStepWithGatesHeld) {
  Bed real(GetParam(), {.kind = DeviceKind::ref}, 1),
      complex(GetParam(), {.kind = DeviceKind::ref, .complex = true}, 1);
  const bool learned = real.model.config().learned_positions;
  const LanguageSubject subject = real.subject();
  const Walk walk(subject, {{.score = 4}});
  const Explanation e = explain(walk, 0);
  const Param& rows = complex.model.store().at(learned ? "embed.pos" : "embed.tokens");
  for (int64_t i = 0; i < rows.value.numel(); ++i) {
    auto& x = rows.value.as<std::complex<double>>()[i];
    x += std::complex<double>(0, 1e-40 * x.real());  // along the rows themselves: the sum of what they give
  }
  crate::Run run(complex.device, {.frozen = true});
  const Tensor logits = complex.model.logits(run, complex.batch.tokens());
  const double expected = logits.as<std::complex<double>>()[8 * logits.cols() + 4].imag() / 1e-40;
  const double came = sum_of(learned ? e.positions : e.tokens);
  EXPECT_NEAR(came, expected, 1e-12 * std::max(1.0, std::abs(expected)));
}

INSTANTIATE_TEST_SUITE_P(All, Explain, testing::ValuesIn(small_models()),
                         [](const auto& info) { return info.param.name; });

/// A noisy small model of images, and two images.
struct ImageBed {
  ImageBed(const ModelCase& c, DeviceKind kind)
      : device({.kind = kind}), model(make_model(device, c.config)), batch(c.config, 2, 0, 5) {
    init_noisily(*model, 7);
  }
  ImageSubject subject() {
    const Tensor images = batch.images();
    return {*model, {images.as<float>(), images.as<float>() + images.numel()}, images.shape};
  }
  Device device;
  std::unique_ptr<Model> model;
  PixelBatch batch;
};

class ExplainImages : public testing::TestWithParam<ModelCase> {};

TEST_P(ExplainImages, CutsAndEffectsSumUp) {
  for (const DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu}) {
    ImageBed bed(GetParam(), kind);
    const ImageSubject subject = bed.subject();
    const Walk walk(subject, {{.score = 3}, {.score = 1, .contrast = 5}});
    const bool exact = kind == DeviceKind::ref;
    for (int64_t row = 0; row < 2; ++row) {
      const Explanation e = explain(walk, row);
      EXPECT_EQ(e.cuts.size(), static_cast<std::size_t>(2 * walk.layers() + 2));
      expect_cuts_hold(e, exact ? 1e-12 : 5e-6);
      EXPECT_LE(edges_among(walk, e, units_of(walk, e, 200)).residual(), exact ? 1e-12 : 1e-4);
    }
  }
}

class ExplainCodesOfImages : public testing::TestWithParam<ModelCase> {};

/// The first atom at a patch, in a row of two, that is clearly active in a block.
Unit active_atom(const Subject& subject, int64_t row, int64_t layer) {
  const Target any{.is_unit = true, .unit = {UnitKind::atom, layer, 0, 0}};
  const Walk walk(subject, {any, any});
  const Tensor& code = walk.block(layer).code.value;
  const int64_t m = code.cols(), begin = row * code.shape[1] * m;
  for (int64_t i = m; i < code.shape[1] * m; ++i) {
    if (code.as<double>()[begin + i] > 0.05) return {UnitKind::atom, layer, i / m, i % m};
  }
  fail("no atom is active");
}

TEST_P(ExplainCodesOfImages, CutsAndEffectsSumUpToTheAtom) {
  ImageBed bed(GetParam(), DeviceKind::ref), serving(GetParam(), DeviceKind::cpu);
  const ImageSubject subject = bed.subject();
  const Target target{.is_unit = true, .unit = active_atom(subject, 0, 1)};
  const Walk walk(subject, {target, {.is_unit = true, .unit = active_atom(subject, 1, 0)}});
  for (int64_t row = 0; row < 2; ++row) {
    const Explanation e = explain(walk, row);
    EXPECT_EQ(e.cuts.size(), row == 0 ? 5U : 3U);  // embed, and both of every block up to its own
    expect_cuts_hold(e, 1e-12);
    EXPECT_LE(edges_among(walk, e, units_of(walk, e, 200)).residual(), 1e-12);
  }
  const Explanation e = explain(walk, 0);
  EXPECT_GT(e.value, 0.05);
  EXPECT_LE(e.residual(), 1e-12);
  const auto alone = subject.repeated(0, 1), served = serving.subject().repeated(0, 1);
  const Walk one(*alone, {target});
  EXPECT_NEAR(one.value(0), e.value, 1e-12);
  EXPECT_NEAR(served_by(*served, one).value, e.value, 1e-4);
  if (!subject.has_scores()) {
    EXPECT_THROW(Walk(*alone, {{.score = 0}}), Error);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ExplainCodesOfImages, testing::ValuesIn(small_image_models()),
                         [](const auto& info) { return info.param.name; });

std::vector<ModelCase> classifiers() {
  std::vector<ModelCase> cases = small_image_models();
  std::erase_if(cases, [](const ModelCase& c) { return is_autoencoder(c.config.family); });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, ExplainImages, testing::ValuesIn(classifiers()),
                         [](const auto& info) { return info.param.name; });

TEST(Units, NamesReadBack) {
  for (const Family family : {Family::crate_lm, Family::gpt2}) {
    for (const Unit& u :
         {Unit{UnitKind::atom, 3, 17, 205}, Unit{UnitKind::head, 11, 0, 2}, Unit{UnitKind::token, -1, 4, 9},
          Unit{UnitKind::position, -1, 4, 4}, Unit{UnitKind::logit, -1, 5, 6}})
      EXPECT_EQ(unit_of(name_of(u, family), family), u);
  }
  EXPECT_EQ(name_of({UnitKind::atom, 3, 17, 205}, Family::crate_lm), "blocks.3.ista.code:17:205");
  for (const char* bad :
       {"", "blocks", "blocks.3", "blocks.3.ista.code", "blocks.3.ista.code:17",
        "blocks.3.ista.code:17:", "blocks.3.ista.code:17:2x", "blocks.3.mlp.hidden:1:2", "blocks.-3.ista.code:1:2",
        "blocks.03.ista.code:1:2", "blocks.99999999999999999999.ista.code:1:2"})
    EXPECT_THROW(unit_of(bad, Family::crate_lm), Error) << bad;
}

}  // namespace
}  // namespace crate
