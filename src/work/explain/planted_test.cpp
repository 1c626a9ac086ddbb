// Models whose circuit is known, because their weights are set by hand, and explanations that find it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "work/explain/check.h"
#include "work/explain/graph.h"

namespace crate {
namespace {

constexpr int64_t tokens = 8;

/// All zero but the norms' scales; one(name, row, column) sets single weights.
class Planted {
 public:
  explicit Planted(const ModelConfig& config) : device_({.kind = DeviceKind::ref}), model(device_, config) {
    for (Param& p : model.store().all()) {
      const bool scale = p.name.ends_with(".scale");
      std::fill_n(p.value.as<double>(), p.value.numel(), scale ? 1.0 : 0.0);
    }
  }
  void one(const std::string& name, int64_t row, int64_t column, double value = 1) {
    const Tensor& t = model.store().at(name).value;
    t.as<double>()[row * t.cols() + column] = value;
  }
  Explanation explained(const std::vector<int32_t>& text, Graph* graph = nullptr) {
    model.store().values_changed();
    subject_.emplace(model, text);
    walk_.emplace(*subject_, std::vector<Target>{{}});
    const Explanation e = explain(*walk_, 0);
    if (graph) *graph = graph_of(edges_among(*walk_, e, units_of(*walk_, e, 500)), 0.9, 0.98);
    return e;
  }
  const Walk& walk() const { return *walk_; }

 private:
  Device device_;
  std::optional<LanguageSubject> subject_;
  std::optional<Walk> walk_;

 public:
  LanguageModel model;
};

ModelConfig config(Family family, int64_t dim, int64_t layers) {
  ModelConfig c;
  c.family = family;
  c.dim = dim;
  c.heads = 1;
  c.layers = layers;
  c.vocab = tokens;
  c.context = 12;
  c.atoms = tokens;
  c.tied_head = false;
  return c;
}

int32_t after(int32_t token) { return static_cast<int32_t>((3 * token + 1) % tokens); }

/// Share of all |contributions| of the input that one position's token has.
double share_of(const Explanation& e, std::size_t position) {
  double size = 0;
  for (const double x : e.tokens) size += std::abs(x);
  for (const double x : e.positions) size += std::abs(x);
  return std::abs(e.tokens[position]) / size;
}

std::vector<Unit> kept_units(const Graph& g, UnitKind kind) {
  std::vector<Unit> out;
  for (std::size_t i = 0; i < g.keep.size(); ++i) {
    if (g.keep[i] && g.all.units[i].kind == kind) out.push_back(g.all.units[i]);
  }
  return out;
}

// The head maps the embedding of a token to the one that follows it; nothing else does anything.
TEST(Planted, ABigramIsItsLastToken) {
  Planted p(config(Family::gpt2, tokens, 2));
  for (int32_t t = 0; t < tokens; ++t) {
    p.one("embed.tokens", t, t);
    p.one("head.weight", after(t), t);
  }
  Graph graph;
  const Explanation e = p.explained({5, 2, 7, 4}, &graph);
  EXPECT_EQ(e.target.score, after(4));
  EXPECT_LE(e.residual(), 1e-12);
  EXPECT_NEAR(e.tokens[3], e.value, 1e-12);
  EXPECT_NEAR(share_of(e, 3), 1, 1e-12);
  EXPECT_TRUE(e.heads.empty());
  EXPECT_TRUE(kept_units(graph, UnitKind::atom).empty());
  EXPECT_EQ(std::count(graph.keep_edge.begin(), graph.keep_edge.end(), 1), 1);  // the token to the logit
}

// Neuron or atom t reads token t and writes the value of the key t into the upper half of the stream.
TEST(Planted, AKeyValueLookupIsOneUnit) {
  for (const Family family : {Family::gpt_relu, Family::crate_lm}) {
    ModelConfig c = config(family, 2 * tokens, 1);
    Planted p(c);
    for (int32_t t = 0; t < tokens; ++t) {
      p.one("embed.tokens", t, t);
      p.one("head.weight", t, tokens + t);
      if (family == Family::gpt_relu) {
        p.one("blocks.0.mlp.w_in", t, t);
        p.one("blocks.0.mlp.w_out", tokens + after(t), t);
      } else {
        p.one("blocks.0.ista.dict", t, t);
        p.one("blocks.0.ista.dict", t, tokens + after(t));
      }
    }
    Graph graph;
    const Explanation e = p.explained({1, 6, 3}, &graph);
    EXPECT_EQ(e.target.score, after(3)) << name_of(family);
    EXPECT_LE(e.residual(), 1e-12);
    ASSERT_FALSE(e.atoms.empty());
    EXPECT_EQ(e.atoms[0].unit, (Unit{UnitKind::atom, 0, 2, 3}));
    EXPECT_NEAR(share_of(e, 2), 1, 1e-12);
    EXPECT_EQ(kept_units(graph, UnitKind::atom), (std::vector<Unit>{{UnitKind::atom, 0, 2, 3}}));
    // Without it the value is gone, as predicted: in the white box the whole stream is this atom.
    const auto ablated = ablate(p.walk().subject(), e, {e.atoms[0]});
    EXPECT_LT(ablated[0].actual, 0.9 * ablated[0].predicted);
  }
}

// Block 0: every position looks at the one before it and notes its token. Block 1: the last token looks for the place
// that noted the same token, and copies the token that stands there: A B .. A -> B.
TEST(Planted, AnInductionHeadCopiesWhatFollowed) {
  constexpr int64_t context = 12, token_at = 0, position_at = tokens, noted_at = tokens + context,
                    copied_at = noted_at + tokens, dim = copied_at + tokens;
  constexpr double sharp = 12;
  Planted p(config(Family::gpt_relu, dim, 2));
  const auto query = [&](const char* name, int64_t i, int64_t from) { p.one(name, i, from, sharp); };
  for (int64_t t = 0; t < tokens; ++t) {
    p.one("embed.tokens", t, token_at + t);
    p.one("head.weight", t, copied_at + t);
    for (const char* block : {"blocks.0.mha.qkv", "blocks.1.mha.qkv"}) p.one(block, 2 * dim + t, token_at + t);
    p.one("blocks.0.mha.w", noted_at + t, t);
    query("blocks.1.mha.qkv", t, token_at + t);
    p.one("blocks.1.mha.qkv", dim + t, noted_at + t);
    p.one("blocks.1.mha.w", copied_at + t, t);
  }
  for (int64_t i = 0; i < context; ++i) {
    p.one("embed.pos", i, position_at + i);
    if (i > 0) query("blocks.0.mha.qkv", i, position_at + i);
    if (i + 1 < context) p.one("blocks.0.mha.qkv", dim + i + 1, position_at + i);
  }
  Graph graph;
  const Explanation e = p.explained({6, 2, 5, 1, 7, 2}, &graph);
  EXPECT_EQ(e.target.score, 5);
  EXPECT_LE(e.residual(), 1e-12);
  const Unit copier{UnitKind::head, 1, 5, 0};
  ASSERT_FALSE(e.heads.empty());
  EXPECT_EQ(e.heads[0].unit, copier);
  EXPECT_GT(e.heads[0].gives, 0.9 * e.value);
  const auto looked = sources_of(p.walk(), 0, copier);
  EXPECT_GT(looked[2], 0.9 * e.heads[0].gives);  // the token behind the first A
  EXPECT_EQ(std::max_element(e.tokens.begin(), e.tokens.end()) - e.tokens.begin(), 2);
  EXPECT_GT(share_of(e, 2), 0.5);
  const auto heads = kept_units(graph, UnitKind::head);
  EXPECT_NE(std::find(heads.begin(), heads.end(), copier), heads.end());
}

}  // namespace
}  // namespace crate
