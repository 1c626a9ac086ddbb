#include "work/compress/mix_counts.h"

#include <algorithm>

#include "work/compress/logistic.h"

namespace crate::mix {
namespace {

constexpr std::size_t levels = 18, shares = 64, run_states = 64;
constexpr int slowest = 127;  // meetings after which a counter keeps its pace

std::size_t level(std::size_t n) {
  return n < 12 ? n : n < 16 ? 12 : n < 24 ? 13 : n < 32 ? 14 : n < 64 ? 15 : n < 127 ? 16 : 17;
}

int16_t stretched(int32_t p) { return static_cast<int16_t>(logistic::stretch(p)); }

}  // namespace

Counts::Counts()
    : histories_(contexts, Map(256)), counted_(contexts, Map(levels * shares)), runs_(contexts, Map(run_states)) {
  for (Map& m : histories_)
    for (std::size_t h = 0; h < 256; ++h) m.set(h, std::clamp(histories().chance[h], 32, 65535 - 32));
  for (Map& m : counted_)
    for (std::size_t s = 0; s < levels * shares; ++s) m.set(s, static_cast<int32_t>(s % shares) * 1024 + 512);
  for (Map& m : runs_)
    for (std::size_t s = 0; s < run_states; ++s) m.set(s, s % 2 != 0 ? 60000 : 5536);
}

void Counts::begin(const std::array<uint64_t, contexts>& hashes) {
  counters_.grow_if_full();
  hashes_ = hashes;
}

// The buckets of half a byte.
void Counts::open(std::size_t prefix) {
  std::array<uint64_t, contexts> of = hashes_;
  for (uint64_t& h : of) {
    if (prefix != 1) h = scrambled(h + prefix * 0x9E3779B97F4A7C15);
    counters_.prefetch(h);
  }
  for (std::size_t k = 0; k < contexts; ++k) buckets_[k] = &counters_.find(of[k]);
  if (prefix == 1) heads_ = buckets_;
  node_ = 0;
}

void Counts::collect(std::size_t k, std::size_t prefix, int place, int16_t* x) {
  const Node& c = buckets_[k]->nodes[node_];
  const Bucket& head = *heads_[k];
  State& s = states_[k];
  s.met = c.history != 0;
  if (!s.met) {
    std::fill_n(x, per, int16_t{0});
    return;
  }
  const bool repeats = head.times > 0 && (head.byte | 256U) >> (place + 1) == prefix;
  s.history = c.history;
  s.counter = level(c.n) * shares + (c.p >> 10);
  s.run = repeats ? std::size_t{head.times} * 2 + (head.byte >> place & 1) : 0;
  x[0] = stretched(histories_[k].at(s.history));
  x[1] = stretched(counted_[k].at(s.counter));
  x[2] = repeats ? stretched(runs_[k].at(s.run)) : int16_t{0};
}

std::size_t Counts::collect(std::size_t prefix, int place, int16_t* x) {
  if (place % 4 == 3) open(prefix);
  std::size_t met = 0;
  for (std::size_t k = 0; k < contexts; ++k) {
    collect(k, prefix, place, x + per * k);
    met += states_[k].met && k < text_contexts ? 1 : 0;
  }
  return met;
}

void Counts::learn(bool bit) {
  static const Histories& table = histories();
  for (std::size_t k = 0; k < contexts; ++k) {
    const State& s = states_[k];
    if (s.met) {
      histories_[k].learn(s.history, bit);
      counted_[k].learn(s.counter, bit);
      if (s.run != 0) runs_[k].learn(s.run, bit);
    }
    Node& c = buckets_[k]->nodes[node_];
    c.learn(bit, slowest);
    c.history = table.next[c.history][bit ? 1 : 0];
  }
  node_ = 2 * node_ + (bit ? 2 : 1);
}

void Counts::end(uint8_t byte) {
  for (Bucket* b : heads_) b->follow(byte);
}

}  // namespace crate::mix
