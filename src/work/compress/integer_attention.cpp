#include "work/compress/integer_attention.h"

#include <algorithm>
#include <cmath>

#include "work/compress/fixed.h"

namespace crate {
namespace {

using fixed::clamp;
using fixed::shift_round;

constexpr double log2_e = 1.44269504088896340736;
constexpr double norm_eps = 1e-6;       // of QK-norm, as in ops/mssa.h
constexpr int64_t most_context = 4096;  // scores of a head stand on the stack
constexpr int norm_bits = 11;           // fractional bits of a normalised row: |x| <= sqrt(p) <= 16

// The shift to the right that brings Q16 numbers up to `bound` below 2^15.
int shift_for(double bound) {
  int e = 0;
  std::frexp(bound * 65536.0, &e);
  return std::max(0, e - 15);
}

// Bounds of |w_c| over every possible input of the norm before the projection.
std::vector<double> bounds_of(const QuantizedMatrix& u, const std::vector<float>& scale,
                              const std::vector<float>* shift, const std::vector<float>* bias) {
  std::vector<double> bounds;
  for (int64_t i = 0; i < u.rows; ++i) {
    double squares = 0, constant = bias ? (*bias)[static_cast<std::size_t>(i)] : 0;
    for (int64_t j = 0; j < u.cols; ++j) {
      const double w = static_cast<double>(u.scales[static_cast<std::size_t>(i)]) *
                       u.values[static_cast<std::size_t>(i * u.cols + j)];
      const double scaled = w * scale[static_cast<std::size_t>(j)];
      squares += scaled * scaled;
      if (shift) constant += w * (*shift)[static_cast<std::size_t>(j)];
    }
    // A little more, for the rounding of the activations.
    bounds.push_back(1.05 * (std::sqrt(squares * static_cast<double>(u.cols)) + std::fabs(constant)));
  }
  return bounds;
}

double most_of(const std::vector<int32_t>& numbers, int fraction) {
  double most = 0;
  for (const int32_t c : numbers) most = std::max(most, std::fabs(std::ldexp(c, -fraction)));
  return most;
}

}  // namespace

std::vector<int32_t> rotations(int64_t positions, int64_t p, double base) {
  std::vector<double> speeds;
  for (int64_t a = 0; a < p / 2; ++a)
    speeds.push_back(fixed::exp_of(-2.0 * static_cast<double>(a) / static_cast<double>(p) * fixed::log_of(base)));
  std::vector<int32_t> turns;
  for (int64_t i = 0; i < positions; ++i)
    for (const bool sine : {false, true})
      for (const double speed : speeds) {
        const double angle = static_cast<double>(i) * speed;
        turns.push_back(
            static_cast<int32_t>(std::lround((sine ? fixed::sin_of(angle) : fixed::cos_of(angle)) * (1 << 14))));
      }
  return turns;
}

IntegerAttention::IntegerAttention(const QuantizedModel& model, int64_t layer, int64_t reach)
    : width_(model.config.attention_width()),
      heads_(model.config.heads),
      p_(model.config.head_dim()),
      reach_(reach),
      pairs_((p_ + 1) / 2),
      key_room_((reach_ + 15) / 16 * 32 * pairs_),
      value_room_((reach_ + 1) / 2 * 2 * p_),
      white_(is_white_box(model.config.family)),
      norm_(model.config.qk_norm),
      exclusive_(model.config.exclusive && white_),
      relay_(model.config.relay && white_) {
  require(p_ <= 256, "[codec] heads wider than 256 are not supported, came {}", p_);
  require(reach_ <= most_context, "[codec] a context of at most {} tokens, came {}", most_context, reach_);
  const std::string block = fmt::format("blocks.{}.", layer), at = block + (white_ ? "mssa." : "mha.");
  if (white_ && model.config.trace) set_share(model.vector(at + "trace"));
  if (white_ && model.config.shift) mix_ = fixed_of(model.vector(at + "shift"), 14);
  if (white_ && model.config.direction) set_direction(model.vector(at + "direction"));
  set_shifts(model, block);
}

// Rounded to 14 fractional bits, of the 24 that kernels.add takes.
void IntegerAttention::set_share(const std::vector<float>& numbers) {
  share_ = fixed_of(numbers, 14);
  require(most_of(share_, 14) < 128, "[codec] a trace of {}; at most 128", most_of(share_, 14));
  for (int32_t& c : share_) c *= 1 << 10;
}

void IntegerAttention::set_direction(const std::vector<float>& numbers) {
  direction_ = fixed_of(numbers, 14);
  double largest = 0;
  for (int64_t c = 0; c < width_; ++c) {
    int32_t& x = direction_[static_cast<std::size_t>(c)];
    if (c % p_ < p_ / 2) x = clamp(int64_t{x} + (1 << 14));
    largest = std::max(largest, std::fabs(x / 16384.0));
  }
  stretch_ = std::sqrt(2.0) * largest;
  require(norm_ ? stretch_ * static_cast<double>(p_) < 512 : stretch_ < 64, "[codec] a direction of {} is too large",
          stretch_);
}

void IntegerAttention::set_shifts(const QuantizedModel& model, const std::string& block) {
  const std::string at = block + (white_ ? "mssa." : "mha.");
  const QuantizedMatrix& u = model.matrix(at + (white_ ? "u" : "qkv"));
  const std::string shift = block + "norm1.shift", bias = at + "qkv_bias";
  const auto bounds =
      bounds_of(u, model.vector(block + "norm1.scale"), model.has(shift) ? &model.vector(shift) : nullptr,
                model.has(bias) ? &model.vector(bias) : nullptr);
  const double carried = 1 + most_of(share_, 24), most = most_of(mix_, 14);
  double value = 0, row = 0;
  for (int64_t c = 0; c < u.rows; ++c)
    if (white_ || c >= 2 * width_) value = std::max(value, bounds[static_cast<std::size_t>(c)]);
  for (int64_t head = 0; head < u.rows / p_; ++head) {
    double squares = 0;
    for (int64_t c = head * p_; c < (head + 1) * p_; ++c)
      squares += bounds[static_cast<std::size_t>(c)] * bounds[static_cast<std::size_t>(c)];
    if (white_ || head < 2 * heads_) row = std::max(row, std::sqrt(squares));
  }
  value *= carried;
  row *= carried;
  value_shift_ = shift_for(value);
  key_shift_ = norm_ ? 16 - norm_bits : shift_for(row * (1 + most) * std::max(1.0, stretch_));
  require(value_shift_ < 15 && key_shift_ < 16, "[codec] the weights of {} are too large", at);
  if (white_ && model.config.metric) {
    require(norm_ && mix_.empty(), "[codec] a metric needs qk_norm and no shift");
    const double longest = std::ldexp(row, 16 - value_shift_);
    metric_q_ = metric_of(model.matrix(at + "metric_q"), longest);
    metric_k_ = metric_of(model.matrix(at + "metric_k"), longest);
  }
  const double width = std::sqrt(static_cast<double>(p_)), query = norm_ ? width : row;
  for (int64_t h = 0; h < heads_; ++h) {
    const double temperature = norm_ ? model.vector(at + "temperature")[static_cast<std::size_t>(h)] : 1.0;
    set_factor(temperature * log2_e / width, query, query * (1 + most) * std::max(1.0, stretch_));
  }
}

// `query` and `key` bound the lengths of rows. A query times factor has at most 15 bits, its product with a key 30.
void IntegerAttention::set_factor(double factor, double query, double key) {
  int query_bits = 0, key_bits = 0, bits = 0;
  std::frexp(1.02 * std::fabs(factor) * query, &query_bits);
  std::frexp(1.02 * key, &key_bits);
  const int key_fraction = 16 - key_shift_;
  const int fraction = std::min(26, 15 - query_bits + key_fraction - std::max(0, key_bits + key_fraction - 15));
  std::frexp(factor, &bits);
  const int down = 15 - bits + 16 + key_fraction - fraction;  // mantissa 2^-down = factor 2^(query's fraction - 16)
  require(fraction >= 1 && down >= 1 && down <= 62, "[codec] attention scores {} times as large as usual", factor);
  factor_.push_back({static_cast<int32_t>(std::lround(std::ldexp(factor, 15 - bits))), down, fraction});
}

// As many fractional bits as products with int16 rows of at most that length leave room for.
IntegerAttention::Metric IntegerAttention::metric_of(const QuantizedMatrix& m, double longest) const {
  const auto number = [&](int64_t row, int64_t column) {
    return static_cast<double>(m.scales[static_cast<std::size_t>(row)]) *
           m.values[static_cast<std::size_t>(row * m.cols + column)];
  };
  double widest = 1e-3;  // the longest column
  for (int64_t head = 0; head < heads_; ++head) {
    for (int64_t c = 0; c < p_; ++c) {
      double squares = 0;
      for (int64_t r = head * p_; r < (head + 1) * p_; ++r) squares += number(r, c) * number(r, c);
      widest = std::max(widest, std::sqrt(squares));
    }
  }
  int length_bits = 0, column_bits = 0;
  std::frexp(1.02 * longest, &length_bits);
  std::frexp(1.02 * widest, &column_bits);
  Metric metric;
  metric.fraction = std::min(30 - length_bits, 14) - column_bits;
  require(metric.fraction >= 4, "[codec] a metric with a column {} long", widest);
  const int64_t blocks = (p_ + 15) / 16;
  metric.columns.assign(static_cast<std::size_t>(heads_ * blocks * pairs_ * 32), 0);
  for (int64_t row = 0; row < heads_ * p_; ++row) {
    const int64_t head = row / p_, r = row % p_;
    for (int64_t c = 0; c < p_; ++c) {
      const int64_t at = ((head * blocks + c / 16) * pairs_ + r / 2) * 32 + c % 16 * 2 + r % 2;
      metric.columns[static_cast<std::size_t>(at)] =
          static_cast<int16_t>(std::lround(std::ldexp(number(row, c), metric.fraction)));
    }
  }
  return metric;
}

// rows (k p), Q16 = each head's own row times its matrix.
void IntegerAttention::apply(const IntegerKernels& kernels, const Metric& metric, const int16_t* own,
                             int32_t* rows) const {
  int32_t sums[272];
  const int64_t blocks = (p_ + 15) / 16;
  for (int64_t head = 0; head < heads_; ++head) {
    const int16_t* columns = metric.columns.data() + head * blocks * pairs_ * 32;
    kernels.dots(own + head * p_, columns, blocks, pairs_, sums);
    std::copy_n(sums, p_, rows + head * p_);
  }
  const int down = metric.fraction - value_shift_;
  kernels.multiply(1 << std::max(0, 1 - down), std::max(1, down), width_, rows);
}

// The projection with the share of the token before.
const int32_t* IntegerAttention::traced(const IntegerKernels& kernels, const int32_t* raw, int64_t position,
                                        const IntegerCache& cache, IntegerScratch& scratch) const {
  if (share_.empty() || position == 0) return raw;
  int32_t* rows = room(scratch.traced, width_);
  std::copy_n(raw, width_, rows);
  kernels.add(cache.last.data(), nullptr, share_.data(), true, width_, rows);
  return rows;
}

void IntegerAttention::open(IntegerCache& cache) const {
  cache.keys.assign(static_cast<std::size_t>(heads_ * key_room_), 0);
  cache.values.assign(static_cast<std::size_t>(heads_ * value_room_), 0);
  cache.last.resize(static_cast<std::size_t>(width_));
}

// Queries and keys of all heads, Q16, as far as the norm. Without metric and shift both are the same row in the white
// box, which is then normed once.
void IntegerAttention::first_rows(const IntegerKernels& kernels, const int32_t* raw, const int16_t* own,
                                  int64_t position, const IntegerCache& cache, int32_t* queries, int32_t* keys) const {
  const auto norm = [&](int32_t* rows) {
    if (norm_) normalise(kernels, rows, heads_, p_, norm_eps, false, {}, rows);
  };
  if (!metric_q_.columns.empty()) {
    apply(kernels, metric_q_, own, queries);
    apply(kernels, metric_k_, own, keys);
    norm(queries);
    return norm(keys);
  }
  std::copy_n(raw, width_, queries);
  norm(queries);
  if (white_ && mix_.empty()) {
    std::copy_n(queries, width_, keys);
    return;
  }
  std::copy_n(white_ ? raw : raw + width_, width_, keys);
  for (std::size_t i = 0; i < mix_.size() && position > 0; ++i)
    keys[i] = clamp(keys[i] + shift_round(int64_t{mix_[i]} * cache.last[i], 14));
  norm(keys);
}

void IntegerAttention::keep(int64_t head, int64_t slot, const int16_t* key, const int16_t* value,
                            IntegerCache& cache) const {
  int16_t* keys = cache.keys.data() + head * key_room_ + slot / 16 * 32 * pairs_ + slot % 16 * 2;
  for (int64_t c = 0; c < pairs_; ++c, keys += 32) {
    keys[0] = key[2 * c];
    keys[1] = 2 * c + 1 < p_ ? key[2 * c + 1] : int16_t{0};  // so that what follows the query counts nothing
  }
  int16_t* values = cache.values.data() + head * value_room_ + slot / 2 * 2 * p_ + slot % 2;
  for (int64_t c = 0; c < p_; ++c) values[2 * c] = value[c];
}

void IntegerAttention::one_head(const IntegerKernels& kernels, const int16_t* query, const int16_t* own, int64_t head,
                                int64_t seen, const IntegerCache& cache, int32_t* out) const {
  int32_t scores[most_context];
  int16_t weights[most_context + 32];
  kernels.dots(query, cache.keys.data() + head * key_room_, (seen + 15) / 16, pairs_, scores);
  const int32_t total = kernels.softmax(scores, seen, factor_[static_cast<std::size_t>(head)].fraction, weights);
  weights[seen] = 0;
  kernels.mix(weights, cache.values.data() + head * value_room_, (seen + 1) / 2, p_, out);
  kernels.multiply((1 << 30) / total, 15, p_, out);
  kernels.exclude(own, p_, exclusive_, 15 - value_shift_, out);
}

void IntegerAttention::attend(const IntegerKernels& kernels, const int32_t* raw, int64_t position, const int32_t* turn,
                              IntegerCache& cache, IntegerScratch& scratch, int32_t* out) const {
  scratch.shorts.resize(static_cast<std::size_t>(3 * width_ + 1));
  int16_t *own = scratch.shorts.data(), *key = own + width_, *query = key + width_;
  const int32_t* w = traced(kernels, raw, position, cache, scratch);
  kernels.to_shorts(white_ ? w : w + 2 * width_, width_, value_shift_, own);
  int32_t *queries = room(scratch.queries, width_), *keys = room(scratch.keys, width_);
  first_rows(kernels, w, own, position, cache, queries, keys);
  if (!direction_.empty()) kernels.turn(direction_.data(), p_, heads_, p_ / 2, keys);
  if (turn != nullptr) {
    kernels.turn(turn, 0, heads_, p_ / 2, keys);
    kernels.turn(turn, 0, heads_, p_ / 2, queries);
  }
  for (int64_t head = 0; head < heads_; ++head) {
    const Factor& f = factor_[static_cast<std::size_t>(head)];
    kernels.multiply(f.mantissa, f.down, p_, queries + head * p_);
  }
  kernels.to_shorts(keys, width_, key_shift_, key);
  kernels.to_shorts(queries, width_, 0, query);
  for (int64_t head = 0; head < heads_; ++head) {
    const int64_t at = head * p_;
    const int16_t* value = own + (relay_ ? (head + 1) % heads_ : head) * p_;
    keep(head, position % reach_, key + at, value, cache);
    one_head(kernels, query + at, value, head, std::min(position + 1, reach_), cache, out + at);
  }
  if (!mix_.empty() || !share_.empty()) std::copy_n(white_ ? raw : raw + width_, width_, cache.last.data());
}

}  // namespace crate
