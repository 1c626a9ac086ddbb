#include "work/compress/mix_net.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "work/compress/integer_kernels.h"
#include "work/compress/logistic.h"

namespace crate::mix {
namespace {

constexpr int32_t one = 1 << 20;

const Loops& chosen_loops() {
#if defined(__x86_64__)
  if (std::string_view(integer_kernels().name) != "baseline") return loops_avx2;
#endif
  return loops_baseline;
}

}  // namespace

Weights::Weights(int count, std::size_t sets, int32_t first, int rate, int least)
    : loops_(chosen_loops()),
      count_(count),
      w_(static_cast<std::size_t>(count) * sets, first),
      used_(w_.size(), static_cast<int16_t>(first >> 8)),
      rates_(sets, rate << 8),
      least_(least << 8) {}

void Weights::set(std::size_t input, int32_t w) {
  for (std::size_t i = input; i < w_.size(); i += static_cast<std::size_t>(count_)) {
    w_[i] = w;
    used_[i] = static_cast<int16_t>(w >> 8);
  }
}

int32_t Weights::sum(const int16_t* x, std::size_t set) {
  set_ = set;
  const int16_t* w = used_.data() + set * static_cast<std::size_t>(count_);
  return std::clamp(loops_.dot(w, x, count_) >> 12, -logistic::widest, logistic::widest);
}

void Weights::learn(const int16_t* x, int32_t error) {
  int32_t& rate = rates_[set_];
  const auto e = static_cast<int16_t>(std::clamp((error * (rate >> 8)) >> 8, -32767, 32767));
  rate -= (rate - least_) >> 8;
  if (e == 0) return;
  const std::size_t at = set_ * static_cast<std::size_t>(count_);
  loops_.move(x, e, count_, w_.data() + at, used_.data() + at);
}

Net::Net(std::vector<int16_t> keep, const std::vector<std::size_t>& sets, const std::vector<std::size_t>& last,
         std::size_t trusted)
    : keep_(std::move(keep)), x_(keep_.size()), middle_((sets.size() + 15) / 16 * 16), outs_(last.size()) {
  for (const std::size_t s : sets) {
    first_.emplace_back(static_cast<int>(keep_.size()), s, one / 22, 200, 16);
    first_.back().set(trusted, one * 3 / 10);
  }
  const int32_t share = one / static_cast<int32_t>(sets.size());
  for (const std::size_t s : last) second_.emplace_back(static_cast<int>(middle_.size()), s, share, 30, 16);
}

void Net::mix(const int16_t* x, const std::size_t* sets, const std::size_t* last) {
  for (std::size_t i = 0; i < x_.size(); ++i) x_[i] = static_cast<int16_t>(x[i] & keep_[i]);
  for (std::size_t k = 0; k < first_.size(); ++k) middle_[k] = static_cast<int16_t>(first_[k].sum(x_.data(), sets[k]));
  int32_t total = 0;
  for (std::size_t k = 0; k < second_.size(); ++k) total += outs_[k] = second_[k].sum(middle_.data(), last[k]);
  out_ = total / static_cast<int32_t>(second_.size());
}

void Net::learn(bool bit) {
  const int32_t target = bit ? 65535 : 0;
  for (std::size_t k = 0; k < first_.size(); ++k) first_[k].learn(x_.data(), target - logistic::squash(middle_[k]));
  for (std::size_t k = 0; k < second_.size(); ++k)
    second_[k].learn(middle_.data(), target - logistic::squash(outs_[k]));
}

}  // namespace crate::mix
