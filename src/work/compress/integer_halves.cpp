#include "work/compress/integer_halves.h"

#include <algorithm>
#include <cmath>

#include "work/compress/fixed.h"

namespace crate {
namespace {

using fixed::clamp;
using fixed::shift_round;

constexpr int eta_bits = 24;

// The step size and the thresholds of a layer: z_k <- relu(z_k + eta match_k - bar_k), bar = eta lambda.
struct Proximal {
  int64_t eta = 0;           // Q24
  std::vector<int32_t> bar;  // Q16, one or one an atom

  Proximal(const QuantizedModel& model, int64_t layer, int64_t atoms) {
    const std::string at = fmt::format("blocks.{}.ista.", layer);
    const double step = model.has(at + "eta") ? model.vector(at + "eta")[0] : model.config.eta_of(layer);
    const auto one = static_cast<float>(model.config.lambda_of(layer));
    std::vector<float> lambda = model.has(at + "lambda") ? model.vector(at + "lambda") : std::vector<float>{one};
    lambda.resize(static_cast<std::size_t>(atoms), lambda[0]);
    eta = std::llround(std::ldexp(step, eta_bits));
    for (const float l : lambda) bar.push_back(clamp(std::llround(step * static_cast<double>(l) * 65536.0)));
  }

  void apply(const IntegerKernels& kernels, const int32_t* match, int64_t rows, int32_t* z) const {
    const auto m = static_cast<int64_t>(bar.size());
    for (int64_t r = 0; r < rows; ++r) kernels.proximal(match + r * m, bar.data(), eta, m, z + r * m);
  }
};

void subtract(const int32_t* a, const int32_t* b, int64_t n, int32_t* to) {
  for (int64_t i = 0; i < n; ++i) to[i] = clamp(int64_t{a[i]} - b[i]);
}

// y = W' z for rows z, with the scales of W's rows on z; z is overwritten.
void read_out(const IntegerKernels& kernels, const IntegerProduct& transposed, int32_t* z, int64_t rows, bool codes,
              int32_t* y, IntegerScratch& scratch) {
  const int64_t m = transposed.inputs();
  for (int64_t r = 0; r < rows; ++r) transposed.weigh(kernels, z + r * m);
  scratch.bytes.set(kernels, z, rows, m, codes);
  transposed.apply(kernels, scratch, y);
}

class Square final : public IntegerHalf {
 public:
  Square(const QuantizedModel& model, int64_t layer)
      : d_(model.config.dim),
        steps_(model.config.steps()),
        dict_(model.matrix(fmt::format("blocks.{}.ista.dict", layer))),
        back_(IntegerProduct::transposed(model.matrix(fmt::format("blocks.{}.ista.dict", layer)))),
        proximal_(model, layer, d_) {}

  void apply(const IntegerKernels& kernels, const int32_t* v, int64_t rows, int32_t* y,
             IntegerScratch& scratch) const override {
    int32_t *made = room(scratch.match, rows * d_), *r = room(scratch.rest, rows * d_);
    std::copy_n(v, rows * d_, y);
    for (int s = 0; s < steps_; ++s) {
      scratch.bytes.set(kernels, y, rows, d_, s > 0);
      dict_.apply(kernels, scratch, made);
      subtract(v, made, rows * d_, r);
      read_out(kernels, back_, r, rows, false, made, scratch);
      proximal_.apply(kernels, made, rows, y);
    }
  }

 private:
  int64_t d_;
  int steps_;
  IntegerProduct dict_, back_;
  Proximal proximal_;
};

class Wide final : public IntegerHalf {
 public:
  Wide(const QuantizedModel& model, int64_t layer)
      : d_(model.config.dim),
        atoms_(model.config.n_atoms()),
        steps_(model.config.steps()),
        dict_(model.matrix(fmt::format("blocks.{}.ista.dict", layer))),
        back_(IntegerProduct::transposed(model.matrix(fmt::format("blocks.{}.ista.dict", layer)))),
        proximal_(model, layer, atoms_) {
    const std::string out = fmt::format("blocks.{}.ista.dict_out", layer);
    if (model.has(out)) apart_ = std::make_unique<IntegerProduct>(IntegerProduct::transposed(model.matrix(out)));
  }

  void apply(const IntegerKernels& kernels, const int32_t* v, int64_t rows, int32_t* y,
             IntegerScratch& scratch) const override {
    int32_t *z = room(scratch.codes, rows * atoms_), *match = room(scratch.match, rows * atoms_);
    int32_t *copy = room(scratch.copy, rows * atoms_), *r = room(scratch.rest, rows * d_);
    std::fill_n(z, rows * atoms_, 0);
    for (int s = 0; s < steps_; ++s) {
      if (s > 0) {
        std::copy_n(z, rows * atoms_, copy);
        read_out(kernels, back_, copy, rows, true, y, scratch);
        subtract(v, y, rows * d_, r);
      }
      scratch.bytes.set(kernels, s > 0 ? r : v, rows, d_, false);
      dict_.apply(kernels, scratch, match);
      proximal_.apply(kernels, match, rows, z);
    }
    read_out(kernels, apart_ ? *apart_ : back_, z, rows, true, y, scratch);
  }

 private:
  int64_t d_, atoms_;
  int steps_;
  IntegerProduct dict_, back_;
  std::unique_ptr<IntegerProduct> apart_;
  Proximal proximal_;
};

class Mlp final : public IntegerHalf {
 public:
  Mlp(const QuantizedModel& model, int64_t layer) : gelu_(model.config.family == Family::gpt2) {
    const std::string at = fmt::format("blocks.{}.mlp.", layer);
    in_ = IntegerProduct(model.matrix(at + "w_in"));
    out_ = IntegerProduct(model.matrix(at + "w_out"));
    if (model.has(at + "b_in")) b_in_ = fixed_of(model.vector(at + "b_in"), 16);
    if (model.has(at + "b_out")) b_out_ = fixed_of(model.vector(at + "b_out"), 16);
  }

  void apply(const IntegerKernels& kernels, const int32_t* v, int64_t rows, int32_t* y,
             IntegerScratch& scratch) const override {
    const int64_t d = out_.outputs(), m = in_.outputs();
    scratch.bytes.set(kernels, v, rows, d, false);
    int32_t* hidden = room(scratch.codes, rows * m);
    in_.apply(kernels, scratch, hidden);
    for (int64_t i = 0; i < rows * m; ++i) {
      int32_t& h = hidden[i];
      if (!b_in_.empty()) h = clamp(int64_t{h} + b_in_[static_cast<std::size_t>(i % m)]);
      h = gelu_ ? clamp(shift_round(int64_t{h} * fixed::normal_cdf(h), 16)) : std::max(h, 0);
    }
    scratch.bytes.set(kernels, hidden, rows, m, !gelu_);
    out_.apply(kernels, scratch, y);
    for (int64_t i = 0; i < rows * d && !b_out_.empty(); ++i)
      y[i] = clamp(int64_t{y[i]} + b_out_[static_cast<std::size_t>(i % d)]);
  }

 private:
  bool gelu_;
  IntegerProduct in_, out_;
  std::vector<int32_t> b_in_, b_out_;
};

}  // namespace

std::unique_ptr<IntegerHalf> integer_half(const QuantizedModel& model, int64_t layer) {
  if (!is_white_box(model.config.family)) return std::make_unique<Mlp>(model, layer);
  if (model.config.family == Family::crate_gpt) return std::make_unique<Square>(model, layer);
  return std::make_unique<Wide>(model, layer);
}

}  // namespace crate
