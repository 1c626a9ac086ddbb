#include "work/atoms/statistics.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/parallel.h"

namespace crate {
namespace {

// A random number for a token and an atom (the finaliser of MurmurHash3).
uint32_t mixed(uint32_t token, uint32_t atom) {
  uint32_t k = token ^ (atom * 0x9E3779B1U);
  k = (k ^ (k >> 16)) * 0x85EBCA6BU;
  k = (k ^ (k >> 13)) * 0xC2B2AE35U;
  return k ^ (k >> 16);
}

int64_t bin_of(float x) {
  constexpr int64_t base = (127 + SiteStatistics::first_octave) * SiteStatistics::bins_per_octave;
  const auto quarter = static_cast<int64_t>(std::bit_cast<uint32_t>(x) >> 21);
  return std::clamp<int64_t>(quarter - base, 0, SiteStatistics::bins - 1);
}

}  // namespace

// The largest activation and the smallest key of the section so far, by atom of a block.
struct SiteStatistics::Best {
  std::array<float, block> value{};
  std::array<uint32_t, block> key{};
  std::array<int64_t, block> value_row{}, key_row{};
  void clear() {
    value.fill(0);
    key.fill(UINT32_MAX);
  }
};

// Joint counts of a block, a byte a level, so that one addition counts all levels of an atom. A row is emptied into the
// counts that last before its bytes overflow.
class SiteStatistics::JointBytes {
 public:
  JointBytes(const Sizes& sizes, uint32_t* joint)
      : levels_(sizes.levels),
        joint_(joint),
        counts_(static_cast<std::size_t>((sizes.features + 1) * block)),
        added_(static_cast<std::size_t>(sizes.features + 1)) {}
  /// `up`: bit 8 l of an atom is set when it is above level l.
  void add(int64_t feature, const std::array<uint32_t, block>& up) {
    uint32_t* to = counts_.data() + feature * block;
#pragma omp simd
    for (int64_t i = 0; i < block; ++i) to[i] += up[static_cast<std::size_t>(i)];
    if (++added_[static_cast<std::size_t>(feature)] == 255) empty(feature);
  }
  void empty() {
    for (int64_t f = 0; f < std::ssize(added_); ++f)
      if (added_[static_cast<std::size_t>(f)] > 0) empty(f);
  }

 private:
  void empty(int64_t feature) {
    uint32_t* from = counts_.data() + feature * block;
    for (int level = 0; level < levels_; ++level) {
      uint32_t* to = joint_ + (feature * levels_ + level) * block;
#pragma omp simd
      for (int64_t i = 0; i < block; ++i) to[i] += (from[i] >> (8 * level)) & 255U;
    }
    std::fill_n(from, block, 0U);
    added_[static_cast<std::size_t>(feature)] = 0;
  }

  int levels_;
  uint32_t* joint_;
  std::vector<uint32_t> counts_;
  std::vector<uint8_t> added_;
};

SiteStatistics::SiteStatistics(const Sizes& sizes, std::vector<float> thresholds)
    : sizes_(sizes), thresholds_(std::move(thresholds)) {
  const auto atoms = static_cast<std::size_t>(sizes.atoms);
  const auto padded = static_cast<std::size_t>((sizes.atoms + block - 1) / block * block);
  require(thresholds_.size() == atoms * static_cast<std::size_t>(sizes.levels),
          "[atoms] expected {} thresholds, came {}", atoms * static_cast<std::size_t>(sizes.levels),
          thresholds_.size());
  sums_.resize(4 * atoms);
  train_sum_.resize(atoms);
  least_.assign(atoms, std::numeric_limits<float>::max());
  most_.assign(atoms, std::numeric_limits<float>::lowest());
  positive_.resize(atoms);
  histogram_.resize(padded * bins);
  ngram_.resize(padded * static_cast<std::size_t>(sizes.ngrams));
  sample_.resize(atoms * static_cast<std::size_t>(sizes.sample));
  for (auto& half : joint_) half.resize(padded * static_cast<std::size_t>((sizes.features + 1) * sizes.levels));
  top_.resize(atoms * 2 * top_excerpts);
  active_.resize(atoms * 2 * active_excerpts);
  least_top_.resize(atoms * 2);
  largest_key_.assign(atoms * 2, UINT32_MAX);
}

void SiteStatistics::take(const float* code, const BatchInfo& info) {
  tokens_ += static_cast<double>(info.tokens.size());
  const int64_t blocks = (sizes_.atoms + block - 1) / block;
  parallel_chunks(blocks, 1, [&](int64_t b, int64_t, int64_t) { take_block(b, code, info); });
}

// Sums in f32 over at most 64 tokens, then in double.
void SiteStatistics::add_moments(int64_t first, int64_t width, const float* code, int64_t lo, int64_t hi,
                                 bool held_out) {
  const auto m = sizes_.atoms;
  for (int64_t begin = lo; begin < hi; begin += 64) {
    std::array<float, block> one{}, two{}, three{}, four{};
    std::array<uint32_t, block> positive{};
    float *least = least_.data() + first, *most = most_.data() + first;
    for (int64_t row = begin; row < std::min(hi, begin + 64); ++row) {
      const float* x = code + row * m + first;
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) {
        const float v = x[i], square = v * v;
        one[static_cast<std::size_t>(i)] += v;
        two[static_cast<std::size_t>(i)] += square;
        three[static_cast<std::size_t>(i)] += square * v;
        four[static_cast<std::size_t>(i)] += square * square;
        positive[static_cast<std::size_t>(i)] += v > 0 ? 1 : 0;
        least[i] = v < least[i] ? v : least[i];
        most[i] = v > most[i] ? v : most[i];
      }
    }
    for (int64_t i = 0; i < width; ++i) {
      const auto a = static_cast<std::size_t>(first + i), k = static_cast<std::size_t>(i);
      double* sums = sums_.data() + 4 * a;
      sums[0] += one[k], sums[1] += two[k], sums[2] += three[k], sums[3] += four[k];
      positive_[a] += positive[k];
      if (!held_out) train_sum_[a] += one[k];
    }
  }
}

void SiteStatistics::take_block(int64_t b, const float* code, const BatchInfo& info) {
  const int64_t first = b * block, width = std::min(block, sizes_.atoms - first), m = sizes_.atoms;
  const std::size_t row_of_joint = place(first, (sizes_.features + 1) * sizes_.levels, 0);
  std::array<JointBytes, 2> joint = {JointBytes(sizes_, joint_[0].data() + row_of_joint),
                                     JointBytes(sizes_, joint_[1].data() + row_of_joint)};
  std::array<uint32_t, block> up{};
  Best best;
  for (const SectionInfo& s : info.sections) {
    best.clear();
    add_moments(first, width, code, s.first, s.last, s.held_out);
    JointBytes& counts = joint[s.held_out ? 1 : 0];
    for (int64_t row = s.first; row < s.last; ++row) {
      const TokenInfo& token = info.tokens[static_cast<std::size_t>(row)];
      const float* x = code + row * m + first;
      for (const int32_t ngram : token.rows) {
        if (ngram < 0 || s.held_out) continue;
        float* sum = ngram_.data() + place(first, sizes_.ngrams, ngram);
#pragma omp simd
        for (int64_t i = 0; i < width; ++i) sum[i] += x[i];
      }
      for (int level = 0; level < sizes_.levels; ++level) {
        const float* threshold = thresholds_.data() + level * m + first;
#pragma omp simd
        for (int64_t i = 0; i < width; ++i) {
          const uint32_t others = level == 0 ? 0U : up[static_cast<std::size_t>(i)];
          up[static_cast<std::size_t>(i)] = others | (x[i] > threshold[i] ? 1U << (8 * level) : 0U);
        }
      }
      for (const int32_t feature : info.features.of(row)) counts.add(feature, up);
      counts.add(sizes_.features, up);
      take_active(first, width, x, row, token, best);
      if (token.sample >= 0) std::copy_n(x, width, sample_.data() + token.sample * m + first);
    }
    end_section(first, width, code, s, best);
  }
  for (JointBytes& half : joint) half.empty();
}

void SiteStatistics::take_active(int64_t first, int64_t width, const float* x, int64_t row, const TokenInfo& token,
                                 Best& best) {
  uint32_t* histogram = histogram_.data() + place(first, bins, 0);
  for (int64_t i = 0; i < width; ++i) {
    if (!(x[i] > 0)) continue;
    const auto k = static_cast<std::size_t>(i);
    ++histogram[bin_of(x[i]) * block + i];
    if (x[i] > best.value[k]) best.value[k] = x[i], best.value_row[k] = row;
    const uint32_t key = mixed(token.hash, static_cast<uint32_t>(first + i));
    if (key < best.key[k]) best.key[k] = key, best.key_row[k] = row;
  }
}

Excerpt SiteStatistics::cut(const float* code, int64_t atom, const SectionInfo& s, int64_t row) const {
  Excerpt out;
  const int64_t lo = std::max(s.first, row - excerpt_tokens / 2), hi = std::min(s.last, lo + excerpt_tokens);
  out.begin = s.begin + (lo - s.first);
  out.document = s.document;
  out.length = static_cast<uint8_t>(hi - lo);
  out.peak = static_cast<uint8_t>(row - lo);
  for (int64_t i = lo; i < hi; ++i) out.values[static_cast<std::size_t>(i - lo)] = code[i * sizes_.atoms + atom];
  out.value = out.values[out.peak];
  return out;
}

void SiteStatistics::end_section(int64_t first, int64_t width, const float* code, const SectionInfo& s, Best& best) {
  for (int64_t i = 0; i < width; ++i) {
    const auto k = static_cast<std::size_t>(i);
    if (!(best.value[k] > 0)) continue;
    const std::size_t half = at(first + i, s.held_out, 0, 1);
    if (best.value[k] > least_top_[half]) keep_top(half, cut(code, first + i, s, best.value_row[k]));
    if (best.key[k] < largest_key_[half]) {
      Excerpt e = cut(code, first + i, s, best.key_row[k]);
      e.key = best.key[k];
      keep_active(half, e);
    }
  }
}

// In place of the one of the same document when there is one, else of the smallest.
void SiteStatistics::keep_top(std::size_t half, const Excerpt& e) {
  Excerpt* top = top_.data() + half * top_excerpts;
  const auto by_value = [](const Excerpt& a, const Excerpt& b) { return a.value < b.value; };
  Excerpt* to = std::find_if(top, top + top_excerpts, [&](const Excerpt& a) { return a.document == e.document; });
  if (to == top + top_excerpts) to = std::min_element(top, top + top_excerpts, by_value);
  if (e.value > to->value) *to = e;
  least_top_[half] = std::min_element(top, top + top_excerpts, by_value)->value;
}

void SiteStatistics::keep_active(std::size_t half, const Excerpt& e) {
  Excerpt* active = active_.data() + half * active_excerpts;
  const auto by_key = [](const Excerpt& a, const Excerpt& b) { return a.key < b.key; };
  *std::max_element(active, active + active_excerpts, by_key) = e;
  largest_key_[half] = std::max_element(active, active + active_excerpts, by_key)->key;
}

SiteStatistics::Moments SiteStatistics::moments(int64_t atom) const {
  const auto a = static_cast<std::size_t>(atom);
  const double* s = sums_.data() + 4 * a;
  return {tokens_, static_cast<double>(positive_[a]), s[0], s[1], s[2], s[3], least_[a], most_[a]};
}

void SiteStatistics::sort_excerpts() {
  for (auto it = top_.begin(); it != top_.end(); it += top_excerpts)
    std::sort(it, it + top_excerpts, [](const Excerpt& a, const Excerpt& b) {
      return a.value > b.value || (a.value == b.value && a.begin < b.begin);
    });
  for (auto it = active_.begin(); it != active_.end(); it += active_excerpts)
    std::sort(it, it + active_excerpts, [](const Excerpt& a, const Excerpt& b) { return a.key < b.key; });
}

}  // namespace crate
