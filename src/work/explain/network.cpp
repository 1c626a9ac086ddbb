#include "work/explain/network.h"

#include <numeric>

#include "ops/score_rows.h"
#include "work/explain/numbers.h"

namespace crate {

LayerChange::LayerChange(const Subject& subject, int64_t layer, int64_t positions, int64_t atoms) : atoms_(atoms) {
  InterventionTap tap = subject.tap_for(nullptr);
  const std::string site = site_of(UnitKind::atom, layer, subject.config().family);
  if (!tap.edits(site)) return;
  of_zero_.assign(static_cast<std::size_t>(positions * atoms), 0);
  of_one_.assign(static_cast<std::size_t>(positions * atoms), 1);
  for (auto* numbers : {&of_zero_, &of_one_}) tap.edit(site, {numbers->data(), {1, positions, atoms}, Dtype::f64});
}

Network::Network(const Subject& subject)
    : heads_(subject.config().heads),
      head_dim_(subject.config().head_dim()),
      exclusive_(is_white_box(subject.config().family) && subject.config().exclusive),
      relay_(is_white_box(subject.config().family) && subject.config().relay) {
  const ModelConfig& c = subject.config();
  const bool white = is_white_box(c.family);
  const int64_t width = c.attention_width();
  value_column_ = white ? 0 : 2 * width;
  const auto find = [&](const std::string& name) {
    return subject.store().has(name) ? subject.store().at(name).value : Tensor{};
  };
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string at = fmt::format("blocks.{}.", i), half = at + (white ? "mssa." : "mha.");
    BlockWeights b{.norm1_scale = find(at + "norm1.scale"),
                   .norm1_shift = find(at + "norm1.shift"),
                   .u = find(half + (white ? "u" : "qkv")),
                   .u_bias = find(half + "qkv_bias"),
                   .share = find(half + "trace"),
                   .w = find(half + "w"),
                   .w_bias = find(half + "w_bias"),
                   .gamma1 = find(at + "gamma1"),
                   .v = find(at + (white ? "ista.dict_out" : "mlp.w_out")),
                   .v_bias = find(at + "mlp.b_out"),
                   .gamma2 = find(at + "gamma2"),
                   .v_by_columns = !white,
                   .residual = !white || c.ista_residual};
    if (white && !b.v && has_wide_code(c.family)) b.v = find(at + "ista.dict");
    if (!white) {
      b.u = b.u.row_slice(2 * width, 3 * width);
      if (b.u_bias) b.u_bias = b.u_bias.reshaped({3, width}).row_slice(2, 3);
    }
    blocks_.push_back(b);
  }
}

std::vector<double> Network::value_gradient(const BlockSeen& block, int64_t row, const Unit& head) const {
  const int64_t n = block.heads.value.shape[1], d = block.heads.value.cols(), p = d / heads_;
  const int64_t at = (row * n + head.position) * d;
  std::vector<double> g = numbers_of(block.heads.grad, at + head.index * p, p);
  if (!exclusive_) return g;
  const std::vector<double> w = numbers_of(block.coords.value, at + value_row(head.index), p);  // coords as wide
  const double along = std::inner_product(g.begin(), g.end(), w.begin(), 0.0) /
                       (std::inner_product(w.begin(), w.end(), w.begin(), 0.0) + exclude_eps);
  for (std::size_t c = 0; c < g.size(); ++c) g[c] -= along * w[c];
  return g;
}

}  // namespace crate
