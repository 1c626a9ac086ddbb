// mix_parts: the pieces of which mixer.h is made: counters under hashed contexts, maps that learn, the match, the sums.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace crate::mix {

inline constexpr int orders = 11;              // contexts, see contexts_of in mixer.cpp
inline constexpr int inputs = 2 * orders + 4;  // two a context, match twice, model, constant
inline constexpr int match_input = 2 * orders, model_input = 2 * orders + 2, constant_input = 2 * orders + 3;

/// 15 bits that learn, the tree of half a byte under one context: probability in the upper 12 bits, how often it was
/// met (at most 15) in the lower 4.
struct Bucket {
  uint16_t check = 0;
  std::array<uint16_t, 15> bits{};
};

class Counters {
 public:
  Counters() : table_(std::size_t{1} << log_size) {}
  /// The bucket of a context, emptied of another's numbers.
  Bucket& find(uint64_t hash);

 private:
  static constexpr int log_size = 19;
  std::vector<Bucket> table_;
};

void learn(uint16_t& counter, bool bit);

/// A probability a state, learned; states are the caller's.
class Map {
 public:
  explicit Map(std::size_t states) : p_(states, 32768) {}
  int32_t at(std::size_t state) const { return p_[state]; }
  void set(std::size_t state, int32_t p) { p_[state] = static_cast<uint16_t>(p); }
  void learn(std::size_t state, bool bit) {
    p_[state] = static_cast<uint16_t>(p_[state] + (((bit ? 65535 : 0) - p_[state]) >> 6));
  }

 private:
  std::vector<uint16_t> p_;
};

/// p corrected under a context: between 33 places of st(p), each a learned probability.
class Correction {
 public:
  explicit Correction(std::size_t contexts);
  int32_t refine(int32_t stretched, std::size_t context);
  void learn(bool bit);

 private:
  std::vector<uint16_t> p_;
  std::size_t at_ = 0;
};

/// Sets of weights, one chosen by a context.
class Weights {
 public:
  Weights(int count, std::size_t sets, int32_t first, int rate);
  /// sum w x in Q8, within the stretched range.
  int32_t sum(const int32_t* x, std::size_t set);
  /// For the sum just made; `error` is bit - p in Q16.
  void learn(const int32_t* x, int32_t error);

 private:
  int count_, rate_;
  std::vector<int32_t> w_;  // Q16
  std::size_t at_ = 0;
};

/// The two layers of sums.
class Net {
 public:
  Net();
  /// p of the inputs with those outside `mask` left out.
  int32_t mix(const int32_t* x, uint32_t mask, const std::array<std::size_t, 4>& sets, std::size_t last_set);
  void learn(bool bit);
  int32_t stretched() const { return out_; }

 private:
  std::array<int32_t, inputs> x_{};
  std::array<int32_t, 4> middle_{};
  std::array<Weights, 4> first_;
  Weights second_;
  int32_t out_ = 0;
};

/// What is known of all streams, and where the last bytes of a stream came before.
class Match {
 public:
  Match() : heads_(std::size_t{1} << log_size) {}
  void begin(std::size_t streams);
  void add(std::size_t stream, uint8_t byte, uint64_t last);
  /// How long the match is (0: none), and the byte that followed.
  int length(std::size_t stream) const { return at_[stream].length; }
  uint8_t expected(std::size_t stream) const;

 private:
  static constexpr int log_size = 20, least = 6, most = 65535;
  struct Place {
    uint32_t text = 0, at = 0;
    int length = 0;
  };
  bool known(const Place& p) const { return p.at < texts_[p.text].size(); }

  std::vector<std::vector<uint8_t>> texts_;  // of every stream so far
  std::size_t first_ = 0;                    // of the streams of now
  std::vector<Place> heads_, at_;
};

}  // namespace crate::mix
