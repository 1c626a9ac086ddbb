#include "work/compress/integer_model.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "work/compress/fixed.h"
#include "work/compress/integer_halves.h"

namespace crate {
namespace {

using fixed::clamp;

constexpr int32_t log2_e_q16 = 94548;
constexpr int64_t long_span = 4096;       // the overlap costs 3 % there
constexpr std::size_t rows_at_once = 32;  // what lies between the products of so many stays in the cache

std::vector<int32_t> widened(const QuantizedMatrix& m) {
  std::vector<int32_t> out;
  for (int64_t i = 0; i < m.rows; ++i) {
    const double scale = std::ldexp(static_cast<double>(m.scales[static_cast<std::size_t>(i)]), 16);
    for (int64_t j = 0; j < m.cols; ++j)
      out.push_back(clamp(std::llround(scale * m.values[static_cast<std::size_t>(i * m.cols + j)])));
  }
  return out;
}

std::vector<int32_t> bias_of(const QuantizedModel& model, const std::string& name) {
  return model.has(name) ? fixed_of(model.vector(name), 16) : std::vector<int32_t>{};
}

const int32_t* or_null(const std::vector<int32_t>& v) { return v.empty() ? nullptr : v.data(); }

// z <- [z +] gamma (y + bias), gamma in Q24 or none.
void add_to_stream(const IntegerKernels& kernels, const std::vector<int32_t>& bias, const std::vector<int32_t>& gamma,
                   bool residual, int64_t rows, const int32_t* y, int64_t d, int32_t* z) {
  for (int64_t r = 0; r < rows; ++r) kernels.add(y + r * d, or_null(bias), or_null(gamma), residual, d, z + r * d);
}

}  // namespace

struct IntegerModel::Layer {
  IntegerNorm norm1, norm2;
  IntegerProduct coords, out;
  std::vector<int32_t> coords_bias, out_bias, gamma1, gamma2;
  IntegerAttention attention;
  std::unique_ptr<IntegerHalf> half;
  bool residual;

  Layer(const QuantizedModel& model, int64_t i, int64_t reach)
      : attention(model, i, reach), half(integer_half(model, i)) {
    const bool white = is_white_box(model.config.family);
    const std::string block = fmt::format("blocks.{}.", i), at = block + (white ? "mssa." : "mha.");
    norm1 = IntegerNorm(model, block + "norm1");
    norm2 = IntegerNorm(model, block + "norm2");
    coords = IntegerProduct(model.matrix(at + (white ? "u" : "qkv")));
    out = IntegerProduct(model.matrix(at + "w"));
    coords_bias = bias_of(model, at + "qkv_bias");
    out_bias = bias_of(model, at + "w_bias");
    if (model.has(block + "gamma1")) gamma1 = fixed_of(model.vector(block + "gamma1"), 24);
    if (model.has(block + "gamma2")) gamma2 = fixed_of(model.vector(block + "gamma2"), 24);
    residual = !white || model.config.ista_residual;
  }
};

IntegerModel::IntegerModel(const QuantizedModel& model, int64_t reach)
    : d_(model.config.dim),
      context_(model.config.context),
      vocab_(model.config.vocab),
      head_dim_(model.config.head_dim()),
      span_(context_),
      overlap_(reach > 0 ? std::min(reach, context_ - 1) : context_ / 4),
      embedding_(widened(model.matrix("embed.tokens"))),
      has_norm_(model.config.final_norm()),
      head_(model.matrix(model.config.tied_head ? "embed.tokens" : "head.weight")) {
  require(!is_image(model.config.family) && (vocab_ == 256 || vocab_ == 257),
          "the codec needs a model that reads bytes (model.vocab = 257, tokenizer \"bytes\"), this one has {} tokens",
          vocab_);
  const ModelConfig& c = model.config;
  require(c.norm_eps >= 0 && c.norm_eps <= 1 && c.rotary_base >= 1 && c.rotary_base <= 1e9,
          "[codec] norm_eps must be 0 to 1 and rotary_base 1 to 1e9, came {} and {}", c.norm_eps, c.rotary_base);
  for (int64_t i = 0; i < c.layers; ++i)
    require(std::fabs(c.eta_of(i)) <= 64 && std::fabs(c.lambda_of(i)) <= 64,
            "[codec] eta and lambda must be at most 64, came {} and {}", c.eta_of(i), c.lambda_of(i));
  if (c.learned_positions) positions_ = widened(model.matrix("embed.pos"));
  if (has_norm_) norm_ = IntegerNorm(model, "norm");
  const bool slides = reach > 0 && !c.learned_positions;
  require(reach <= context_ && context_ <= 4096, "[codec] a context of at most 4096 tokens, came {}", context_);
  if (slides) span_ = std::min(16 * context_, std::max(2 * context_, long_span));
  for (int64_t i = 0; i < c.layers; ++i) layers_.emplace_back(model, i, slides ? reach : context_);
  if (c.rotary) turns_ = rotations(span_, c.head_dim(), c.rotary_base);
}

IntegerModel::~IntegerModel() = default;

IntegerState IntegerModel::open() const {
  IntegerState state;
  state.caches.resize(layers_.size());
  for (std::size_t i = 0; i < layers_.size(); ++i) layers_[i].attention.open(state.caches[i]);
  return state;
}

// Rows of one state come one after another: each takes a place and moves the state on.
void IntegerModel::embed(std::span<const Row> rows, int64_t* places, int32_t* z) const {
  for (const Row& row : rows) {
    require(row.state->used < span_, "[codec] a window of {} tokens is full", span_);
    require(row.token >= 0 && row.token < vocab_, "[codec] token {} lies outside the vocabulary of {}", row.token,
            vocab_);
    const int32_t* from = embedding_.data() + row.token * d_;
    const int32_t* position = positions_.empty() ? nullptr : positions_.data() + row.state->used * d_;
    for (int64_t j = 0; j < d_; ++j) z[j] = from[j] + (position ? position[j] : 0);
    *places++ = row.state->used++;
    z += d_;
  }
}

void IntegerModel::attention_half(const IntegerKernels& kernels, std::size_t index, std::span<const Row> rows,
                                  const int64_t* places, IntegerScratch& scratch) const {
  const Layer& layer = layers_[index];
  const auto n = static_cast<int64_t>(rows.size());
  const int64_t width = layer.coords.outputs(), out_width = layer.out.inputs();
  int32_t *z = scratch.stream.data(), *x = room(scratch.x, n * d_), *y = room(scratch.y, n * d_);
  int32_t *coords = room(scratch.coords, n * width), *heads = room(scratch.heads, n * out_width);
  layer.norm1.apply(kernels, z, n, x);
  scratch.bytes.set(kernels, x, n, d_, false);
  layer.coords.apply(kernels, scratch, coords);
  for (int64_t i = 0; i < n * width && !layer.coords_bias.empty(); ++i)
    coords[i] = clamp(int64_t{coords[i]} + layer.coords_bias[static_cast<std::size_t>(i % width)]);
  for (int64_t r = 0; r < n; ++r)
    layer.attention.attend(kernels, coords + r * width, places[r],
                           turns_.empty() ? nullptr : turns_.data() + places[r] * head_dim_,
                           rows[static_cast<std::size_t>(r)].state->caches[index], scratch, heads + r * out_width);
  scratch.bytes.set(kernels, heads, n, out_width, false);
  layer.out.apply(kernels, scratch, y);
  add_to_stream(kernels, layer.out_bias, layer.gamma1, true, n, y, d_, z);
}

void IntegerModel::forward(const IntegerKernels& kernels, std::span<const Row> rows, int32_t* logits) const {
  IntegerScratch scratch;
  forward(kernels, rows, logits, scratch);
}

void IntegerModel::forward(const IntegerKernels& kernels, std::span<const Row> rows, int32_t* logits,
                           IntegerScratch& scratch) const {
  for (std::size_t at = 0; at < rows.size(); at += rows_at_once) {
    const std::size_t n = std::min(rows_at_once, rows.size() - at);
    forward_some(kernels, rows.subspan(at, n), logits ? logits + static_cast<int64_t>(at) * vocab_ : nullptr, scratch);
  }
}

void IntegerModel::forward_some(const IntegerKernels& kernels, std::span<const Row> rows, int32_t* logits,
                                IntegerScratch& scratch) const {
  const auto n = static_cast<int64_t>(rows.size());
  int64_t places[rows_at_once];
  int32_t *z = room(scratch.stream, n * d_), *v = room(scratch.x, n * d_), *y = room(scratch.y, n * d_);
  embed(rows, places, z);
  const std::vector<int32_t> no_bias;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    attention_half(kernels, i, rows, places, scratch);
    layer.norm2.apply(kernels, z, n, v);
    layer.half->apply(kernels, v, n, y, scratch);
    add_to_stream(kernels, no_bias, layer.gamma2, layer.residual, n, y, d_, z);
  }
  if (logits == nullptr) return;
  if (has_norm_) norm_.apply(kernels, z, n, z);
  scratch.bytes.set(kernels, z, n, d_, false);
  head_.apply(kernels, scratch, logits);
  kernels.multiply(log2_e_q16, 16, n * vocab_, logits);
}

std::string behaviour_of(const IntegerModel& model) {
  constexpr std::string_view text = "The check of behaviour: 0123456789, (a+b)*c = ?\n";
  IntegerState state = model.open();
  std::vector<IntegerModel::Row> rows;
  for (const char c : text.substr(0, static_cast<std::size_t>(std::min<int64_t>(model.context(), 48))))
    rows.push_back({&state, static_cast<uint8_t>(c)});
  std::vector<int32_t> logits(rows.size() * static_cast<std::size_t>(model.vocab()));
  model.forward(integer_kernels(), rows, logits.data());
  return {reinterpret_cast<const char*>(logits.data()), logits.size() * sizeof(int32_t)};
}

}  // namespace crate
