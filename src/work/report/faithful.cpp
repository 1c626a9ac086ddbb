// How true explanations are to the model: the margin between the two likeliest next tokens of held-out prompts,
// explained.
//
// Writers of the final stream are the parts whose sum it is at the last position: with a stream that runs past every
// block the embedding, all heads and all units; where each block renews the stream, the units of the last block alone.
// What a writer contributes is its value times r . (what it writes), r the frozen gradient of the margin there.
// As in crate explain the walk is in float64, on the float32 weights that serve; the margin that the float32 forward
// computes, and what becomes of it when units are removed, come from the model itself.
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"
#include "work/explain/check.h"
#include "work/explain/explain.h"
#include "work/explain/numbers.h"
#include "work/explain/served.h"
#include "work/report/measures.h"

namespace crate {
namespace {

std::size_t z(int64_t i) { return static_cast<std::size_t>(i); }

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// The row of the last position of (1, n, width).
std::vector<double> last_row(const Tensor& t) { return numbers_of(t, (t.rows() - 1) * t.cols(), t.cols()); }

// r as a half sees it whose output is scaled by a parameter.
std::vector<double> through_scale(LanguageModel& model, const std::string& gamma, std::vector<double> r) {
  if (!model.store().has(gamma)) return r;
  const std::vector<double> scale = numbers_of(model.store().at(gamma).value, 0, static_cast<int64_t>(r.size()));
  for (std::size_t i = 0; i < r.size(); ++i) r[i] *= scale[i];
  return r;
}

void add_units(LanguageModel& model, int64_t layer, const BlockSeen& block, const std::vector<double>& r,
               std::vector<double>& to) {
  const std::vector<double> code = last_row(block.code.value);
  const std::vector<double> scaled = through_scale(model, fmt::format("blocks.{}.gamma2", layer), r);
  std::vector<float> axis(code.size());
  for (std::size_t a = 0; a < code.size(); ++a) {
    if (code[a] == 0) continue;
    axis[a] = 1;
    to.push_back(code[a] * (model.config().family == Family::crate_gpt ? scaled[a]
                                                                       : dot(scaled, written_by(model, layer, axis))));
    axis[a] = 0;
  }
}

void add_heads(LanguageModel& model, int64_t layer, const BlockSeen& block, const std::vector<double>& r,
               std::vector<double>& to) {
  const ModelConfig& c = model.config();
  const std::string name = fmt::format("blocks.{}.{}.w", layer, is_white_box(c.family) ? "mssa" : "mha");
  const std::vector<double> w = numbers_of(model.store().at(name).value, 0, c.dim * c.dim),
                            o = last_row(block.heads.value);
  const std::vector<double> scaled = through_scale(model, fmt::format("blocks.{}.gamma1", layer), r);
  for (int64_t h = 0; h < c.heads; ++h) {
    double sum = 0;
    for (int64_t j = h * c.head_dim(); j < (h + 1) * c.head_dim(); ++j) {
      for (int64_t i = 0; i < c.dim; ++i) sum += scaled[z(i)] * w[z(i * c.dim + j)] * o[z(j)];
    }
    to.push_back(sum);
  }
}

std::vector<double> writers(LanguageModel& model, const Walk& walk) {
  const ModelConfig& c = model.config();
  const int64_t last = walk.layers() - 1;
  const std::vector<double> r = last_row(walk.block(last).z_post.grad);
  const bool runs_past = !is_white_box(c.family) || c.ista_residual;
  std::vector<double> out;
  if (runs_past) out.push_back(dot(r, last_row(walk.block(0).z_pre.value)));
  for (int64_t l = runs_past ? 0 : last; l <= last; ++l) {
    if (runs_past) add_heads(model, l, walk.block(l), r, out);
    add_units(model, l, walk.block(l), r, out);
  }
  return out;
}

// The same weights, to be walked in float64.
std::unique_ptr<LanguageModel> exact_copy(LanguageModel& model, Device& exact) {
  auto out = std::make_unique<LanguageModel>(exact, model.config());
  for (const Param& from : model.store().all()) {
    const Tensor& to = out->store().at(from.name).value;
    read_numbers(from.value, 0, {to.as<double>(), z(to.numel())});
  }
  out->store().values_changed();
  return out;
}

std::vector<int64_t> two_likeliest(LanguageModel& model, std::vector<int32_t> tokens) {
  Run run(model.device());
  const auto n = static_cast<int64_t>(tokens.size());
  const std::vector<double> logits = last_row(model.logits(run, {tokens.data(), {1, n}, Dtype::i32}));
  std::vector<int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + 2, order.end(),
                    [&](int64_t a, int64_t b) { return logits[z(a)] > logits[z(b)]; });
  return {order[0], order[1]};
}

// Those that give most, and as many of the others, drawn by chance.
std::vector<Part> some_units(const Explanation& e, std::size_t each, uint64_t seed, uint64_t prompt) {
  std::vector<Part> out(e.atoms.begin(), e.atoms.begin() + static_cast<std::ptrdiff_t>(std::min(each, e.atoms.size())));
  if (e.atoms.size() <= 2 * each) return e.atoms;
  const Rng rng(seed, Stream::sample);
  for (std::size_t i = 0; i < each; ++i)
    out.push_back(e.atoms[each + rng.below(e.atoms.size() - each, 31, prompt * each + i)]);
  return out;
}

}  // namespace

int64_t writers_needed(std::vector<double> contributions, double target, double share) {
  std::sort(contributions.begin(), contributions.end(), [](double a, double b) { return std::abs(a) > std::abs(b); });
  double missing = 0;
  auto k = static_cast<int64_t>(contributions.size());
  while (k > 0) {
    missing += contributions[z(k - 1)];
    if (std::abs(missing) > (1 - share) * std::abs(target)) break;
    --k;
  }
  return k;
}

void measure_faithfulness(ReportCard& card, int m, Variant v, LanguageModel& model, const Material& material,
                          const FaithOptions& options) {
  Device ref({.kind = DeviceKind::ref});
  const auto exact = exact_copy(model, ref);
  std::vector<double> residual, served, needed[3], agreement;
  std::vector<const Window*> held;
  for (const Window& w : material.windows) {
    if (w.held_out) held.push_back(&w);
  }
  const auto prompts = std::min(static_cast<std::size_t>(options.prompts), held.size());
  for (std::size_t p = 0; p < prompts; ++p) {
    std::vector<int32_t> tokens = held[p * held.size() / prompts]->tokens;
    tokens.resize(std::min(tokens.size(), z(options.length)));
    const std::vector<int64_t> two = two_likeliest(model, tokens);
    const LanguageSubject subject(*exact, tokens), serving(model, tokens);
    const Walk walk(subject, {{.score = two[0], .contrast = two[1]}});
    const Explanation e = explain(walk, 0);
    residual.push_back(e.residual());
    served.push_back(served_by(serving, walk).distance(e.value));
    const std::vector<double> parts = writers(*exact, walk);
    constexpr double shares[] = {0.5, 0.9, 0.99};
    for (std::size_t q = 0; q < 3; ++q)
      needed[q].push_back(static_cast<double>(writers_needed(parts, walk.value(0), shares[q])));
    agreement.push_back(agreement_of(ablate(serving, e, some_units(e, 8, options.seed, p))).correlation);
  }
  card.add("faith.residual", m, v, std::move(residual));
  card.add("faith.served", m, v, std::move(served));
  card.add("faith.units50", m, v, std::move(needed[0]));
  card.add("faith.units90", m, v, std::move(needed[1]));
  card.add("faith.units99", m, v, std::move(needed[2]));
  card.add("faith.ablation", m, v, std::move(agreement));
}

}  // namespace crate
