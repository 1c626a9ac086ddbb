#include "work/compress/mixer.h"

#include <algorithm>
#include <cmath>

#include "work/compress/fixed.h"
#include "work/compress/mix_parts.h"

namespace crate {

namespace logistic {
namespace {

constexpr int32_t widest = 2840;  // st(65535 / 65536) in Q8

// Finely where p is close to 0 or 1, in steps of 16 elsewhere.
constexpr int32_t fine = 2048;
struct Tables {
  std::vector<int16_t> low, high, middle;
  std::vector<uint16_t> squashed;

  static int16_t exact(double p) {
    return static_cast<int16_t>(
        std::clamp(std::floor(256 * fixed::log_of(p / (65536 - p)) + 0.5), -1.0 * widest, 1.0 * widest));
  }
  Tables() {
    for (int32_t p = 0; p < fine; ++p) {
      low.push_back(exact(std::max(p, 1)));
      high.push_back(exact(65536 - fine + p));
    }
    for (int32_t p = 0; p < 4096; ++p) middle.push_back(exact(16 * p + 8));
    for (int32_t x = -widest; x <= widest; ++x)
      squashed.push_back(
          static_cast<uint16_t>(std::clamp(std::floor(65536 / (1 + fixed::exp_of(-x / 256.0)) + 0.5), 1.0, 65535.0)));
  }
};

const Tables& tables() {
  static const Tables made;
  return made;
}

}  // namespace

int32_t stretch(int32_t p) {
  const Tables& t = tables();
  if (p < fine) return t.low[static_cast<std::size_t>(p)];
  if (p >= 65536 - fine) return t.high[static_cast<std::size_t>(p - (65536 - fine))];
  return t.middle[static_cast<std::size_t>(p >> 4)];
}

int32_t squash(int32_t x) {
  return tables().squashed[static_cast<std::size_t>(std::clamp(x, -widest, widest) + widest)];
}

double cost(int32_t p) { return -std::log2(p / 65536.0); }

}  // namespace logistic

namespace {

constexpr uint32_t everything = (1U << mix::inputs) - 1;
constexpr uint32_t only_model = 1U << mix::model_input;
constexpr uint32_t only_match = 3U << mix::match_input;
constexpr uint32_t only_orders = (1U << 2 * mix::orders) - 1;

uint64_t scrambled(uint64_t x) {
  x *= 0x9E3779B97F4A7C15;
  return (x ^ x >> 29) * 0xBF58476D1CE4E5B9;
}

bool is_letter(uint8_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 128; }

}  // namespace

struct Mixer::Parts {
  struct Stream {
    uint64_t last = 0;              // bytes, the newest lowest
    uint64_t word = 0, before = 0;  // hashes of the letters since the last other byte, and of the word before
  };
  std::array<mix::Counters, mix::orders> counters;
  std::vector<mix::Map> worth;  // of a counter's state, a context each
  mix::Map match_worth{64 * 2};
  mix::Match match;
  mix::Net net, without_model, without_orders, without_match;
  mix::Correction by_byte{256}, by_pair{65536};
  std::vector<Stream> streams;

  // Of the byte in work.
  std::array<mix::Bucket*, mix::orders> buckets{};
  std::array<std::size_t, mix::orders> states{};
  std::array<int32_t, mix::inputs> x{};
  std::size_t match_state = 0;
  int expected = -1;  // byte, or none

  Parts() : worth(mix::orders, mix::Map(16 * 256 * 16)) {
    for (mix::Map& m : worth)
      for (std::size_t s = 0; s < 16 * 256 * 16; ++s)
        m.set(s, std::clamp<int32_t>(static_cast<int32_t>(s % 256) * 256 + 128, 32, 65535 - 32));
  }

  // The last 1 to 6 bytes and the last 8; the word, and it with the one before; two and three bytes behind the last.
  static std::array<uint64_t, mix::orders> contexts_of(const Stream& s) {
    const auto newest = [&](int n) { return s.last & (~uint64_t{0} >> (64 - 8 * n)); };
    return {newest(1),
            newest(2),
            newest(3),
            newest(4),
            newest(5),
            newest(6),
            newest(8),
            s.word ^ (s.last & 255) << 56,
            scrambled(s.word + 3 * s.before),
            newest(3) >> 8,
            newest(4) >> 8};
  }

  // Buckets of the upper (half = 0) or lower half of a byte.
  void open(const Stream& s, uint64_t half) {
    const std::array<uint64_t, mix::orders> contexts = contexts_of(s);
    for (std::size_t k = 0; k < mix::orders; ++k) {
      const uint64_t hash = scrambled(scrambled(contexts[k] + (k + 1) * 0x632BE59BD9B4E019) + half);
      buckets[k] = &counters[k].find(hash);
    }
  }

  void collect(std::size_t node, int place, int stretched_model, const mix::Match& m, std::size_t stream) {
    for (std::size_t k = 0; k < mix::orders; ++k) {
      const uint16_t c = buckets[k]->bits[node];
      states[k] = (c & 15U) * 256 + (c >> 8);
      x[2 * k] = (c & 15) == 0 ? 0 : logistic::stretch(worth[k].at(states[k]));
      x[2 * k + 1] = (c & 15) == 0 ? 0 : ((c >> 4) - 2048) * ((c & 15) + 4) / 64;
    }
    const bool matching = expected >= 0;
    const bool bit = matching && (expected >> place & 1) != 0;
    match_state = matching ? static_cast<std::size_t>(std::min(m.length(stream), 32)) * 2 + (bit ? 1 : 0) : 0;
    const int32_t st = matching ? logistic::stretch(match_worth.at(match_state)) : 0;
    x[mix::match_input] = st;
    x[mix::match_input + 1] = matching ? (bit ? 1 : -1) * std::min(m.length(stream), 32) * 16 : 0;
    x[mix::model_input] = stretched_model;
    x[mix::constant_input] = 256;
  }

  void learn(std::size_t node, bool bit, bool reporting) {
    for (std::size_t k = 0; k < mix::orders; ++k) {
      worth[k].learn(states[k], bit);
      mix::learn(buckets[k]->bits[node], bit);
    }
    if (expected >= 0) match_worth.learn(match_state, bit);
    net.learn(bit);
    by_byte.learn(bit);
    by_pair.learn(bit);
    if (!reporting) return;
    without_model.learn(bit);
    without_orders.learn(bit);
    without_match.learn(bit);
  }

  void add(std::size_t stream, uint8_t byte) {
    Stream& s = streams[stream];
    s.last = s.last << 8 | byte;
    if (!is_letter(byte) && s.word != 0) s.before = s.word;
    s.word = is_letter(byte) ? scrambled(s.word + (byte | 32U)) : 0;
    match.add(stream, byte, s.last);
  }
};

Mixer::Mixer(bool report) : parts_(std::make_unique<Parts>()), reporting_(report) {}
Mixer::~Mixer() = default;

void Mixer::begin(int64_t streams) {
  parts_->streams.assign(static_cast<std::size_t>(streams), {});
  parts_->match.begin(static_cast<std::size_t>(streams));
}

template <class F> uint8_t Mixer::walk(int64_t stream, const ByteChances& model, F&& code) {
  Parts& p = *parts_;
  const auto at = static_cast<std::size_t>(stream);
  const Parts::Stream& s = p.streams[at];
  const std::size_t previous = s.last & 255;
  p.expected = p.match.length(at) > 0 ? p.match.expected(at) : -1;
  ByteTree tree(model);
  std::size_t prefix = 1, node = 0;  // of the byte, of its half
  for (int place = 7; place >= 0; --place) {
    if (place % 4 == 3) {
      p.open(s, place == 7 ? 0 : prefix);
      node = 0;
    }
    const auto right = static_cast<int32_t>(std::clamp<uint32_t>(tree.chance() >> 16, 1, 65535));
    p.collect(node, place, logistic::stretch(right), p.match, at);
    const std::size_t length = p.expected < 0 ? 0 : static_cast<std::size_t>(std::min(p.match.length(at), 28) / 4 + 1);
    std::size_t met = 0;  // contexts that came before
    for (std::size_t k = 0; k < mix::orders; ++k) met += (p.buckets[k]->bits[node] & 15) != 0 ? 1 : 0;
    const std::array<std::size_t, 4> sets{prefix, length * 8 + static_cast<std::size_t>(7 - place), previous,
                                          met * 8 + static_cast<std::size_t>(7 - place)};
    const int32_t mixed = p.net.mix(p.x.data(), everything, sets, prefix), st = p.net.stretched();
    const int32_t refined = p.by_byte.refine(st, prefix);
    const int32_t paired = p.by_pair.refine(st, (previous << 8 | prefix) & 65535);
    const int32_t one = std::clamp((2 * mixed + refined + paired + 2) / 4, 1, 65535);
    const bool bit = code(static_cast<Chance>(one) << 16);
    if (reporting_) {
      const auto paid = [bit](int32_t q) { return logistic::cost(bit ? q : 65536 - q); };
      report_.all += paid(one);
      report_.model += paid(right);
      report_.without_model += paid(p.without_model.mix(p.x.data(), everything & ~only_model, sets, prefix));
      report_.without_orders += paid(p.without_orders.mix(p.x.data(), everything & ~only_orders, sets, prefix));
      report_.without_match += paid(p.without_match.mix(p.x.data(), everything & ~only_match, sets, prefix));
    }
    p.learn(node, bit, reporting_);
    tree.take(bit);
    prefix = 2 * prefix + (bit ? 1 : 0);
    node = 2 * node + (bit ? 2 : 1);
    if (p.expected >= 0 && (p.expected >> place & 1) != (bit ? 1 : 0)) p.expected = -1;
  }
  const auto byte = static_cast<uint8_t>(prefix);
  p.add(at, byte);
  return byte;
}

void Mixer::put(BitEncoder& coder, int64_t stream, const ByteChances& model, uint8_t byte) {
  int place = 7;
  walk(stream, model, [&](Chance one) {
    const bool bit = (byte >> place-- & 1) != 0;
    coder.put(bit, one);
    return bit;
  });
}

uint8_t Mixer::get(BitDecoder& coder, int64_t stream, const ByteChances& model) {
  return walk(stream, model, [&](Chance one) { return coder.get(one); });
}

}  // namespace crate
