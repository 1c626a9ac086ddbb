// mix_net: sums of stretched probabilities with weights that learn, in two layers.
#pragma once
#include <cstdint>
#include <vector>

namespace crate::mix {

/// What is done for every input, of which there are a multiple of 16 (mix_loops.h).
struct Loops {
  int32_t (*dot)(const int16_t* w, const int16_t* x, int n);
  void (*move)(const int16_t* x, int32_t error, int n, int32_t* w, int16_t* used);
};
extern const Loops loops_baseline, loops_avx2;

/// Sets of weights, one chosen by a context. Kept in Q20 for learning, used in Q12.
class Weights {
 public:
  /// Weights in Q20; the rate of a set falls from `rate` to `least` as it is used.
  Weights(int count, std::size_t sets, int32_t first, int rate, int least);
  /// sum w x in Q8, within the stretched range. There are `count` inputs, a multiple of 16.
  int32_t sum(const int16_t* x, std::size_t set);
  /// For the sum just made; `error` is bit - p in Q16.
  void learn(const int16_t* x, int32_t error);
  void set(std::size_t input, int32_t w);

 private:
  const Loops& loops_;
  int count_;
  std::vector<int32_t> w_;
  std::vector<int16_t> used_;
  std::vector<int32_t> rates_;  // a set; falling to the least
  int least_;
  std::size_t set_ = 0;
};

/// Several sums, each by its own choice of a set, and a sum of these.
class Net {
 public:
  /// `keep`: of every input -1, or 0 for one that is left out; `trusted`: the one that begins with the largest weight.
  Net(std::vector<int16_t> keep, const std::vector<std::size_t>& sets, const std::vector<std::size_t>& last,
      std::size_t trusted);
  void mix(const int16_t* x, const std::size_t* sets, const std::size_t* last);
  void learn(bool bit);
  /// The answer, in Q8.
  int32_t stretched() const { return out_; }

 private:
  std::vector<int16_t> keep_, x_, middle_;
  std::vector<Weights> first_, second_;
  std::vector<int32_t> outs_;
  int32_t out_ = 0;
};

}  // namespace crate::mix
