#include "work/compress/mixer.h"

#include <algorithm>

#include "work/compress/mix_contexts.h"
#include "work/compress/mix_counts.h"
#include "work/compress/mix_match.h"
#include "work/compress/mix_model.h"
#include "work/compress/mix_net.h"

namespace crate {
namespace {

using mix::contexts;

constexpr std::size_t match_input = mix::Counts::per * contexts;
constexpr std::size_t model_input = match_input + 2 * mix::MatchInputs::count;
constexpr std::size_t constant_input = model_input + mix::ModelInputs::count;
constexpr std::size_t inputs = (constant_input + 1 + 15) / 16 * 16;

// What an input, or a choice of weights, was made of.
enum Part : unsigned { orders = 1, match = 2, model = 4 };

unsigned parts_of(std::size_t input) {
  if (input < match_input) {
    const std::size_t k = input / mix::Counts::per;
    return orders | (k >= mix::text_contexts ? model : 0U) | (k == mix::matched_context ? match : 0U);
  }
  if (input < model_input) return match;
  if (input < constant_input) return input < model_input + mix::ModelInputs::plain ? model : model | orders;
  return 0;
}

std::vector<int16_t> kept(unsigned left_out) {
  std::vector<int16_t> keep;
  for (std::size_t i = 0; i < inputs; ++i) keep.push_back((parts_of(i) & left_out) != 0 ? 0 : -1);
  return keep;
}

constexpr std::size_t first_sums = 8, second_sums = 2, sure_levels = 16;

// How many sets of weights the sums have; which is used, `choose` below says.
struct Sets {
  std::size_t count;
  unsigned parts;  // that choose
};
constexpr std::array<Sets, first_sums> first_sets{{{256, 0},
                                                   {(mix::MatchInputs::levels + 1) * 8, match},
                                                   {256, 0},
                                                   {(mix::text_contexts + 1) * 8, orders},
                                                   {sure_levels * sure_levels * 3, model | match},
                                                   {256, 0},
                                                   {8 * 8 * 4, 0},
                                                   {512, model}}};
constexpr std::array<Sets, second_sums> second_sets{{{256, 0}, {sure_levels * 3, model | match}}};

struct Choice {
  std::array<std::size_t, first_sums> first;
  std::array<std::size_t, second_sums> second;
};

// Without some parts; sums that choose by one of these have a single set.
class Net : public mix::Net {
 public:
  explicit Net(unsigned left_out)
      : mix::Net(kept(left_out), counts(first_sets), counts(second_sets), model_input), left_out_(left_out) {}

  void mix(const int16_t* x, Choice of) {
    for (std::size_t k = 0; k < first_sums; ++k)
      if ((first_sets[k].parts & left_out_) != 0) of.first[k] = 0;
    for (std::size_t k = 0; k < second_sums; ++k)
      if ((second_sets[k].parts & left_out_) != 0) of.second[k] = 0;
    mix::Net::mix(x, of.first.data(), of.second.data());
  }
  int32_t p() const { return logistic::squash(stretched()); }

 private:
  template <class All> static std::vector<std::size_t> counts(const All& all) {
    std::vector<std::size_t> out;
    for (const Sets& s : all) out.push_back(s.count);
    return out;
  }
  unsigned left_out_;
};

// The answer of the sums, corrected by what such answers were worth before.
class Final {
 public:
  int32_t refine(const Net& net, const mix::TextState& text, std::size_t prefix, int expected) {
    const std::size_t matched = expected < 0 ? 0 : static_cast<std::size_t>(expected) << 8 | prefix;
    const std::array<std::size_t, 4> at{prefix, (text.last & 255) << 8 | prefix,
                                        mix::scrambled((text.last & 0xFFFFFF) << 8 | prefix) >> 48, matched};
    const int32_t st = net.stretched();
    int32_t sum = 4 * logistic::squash(st);
    for (std::size_t k = 0; k < by_.size(); ++k) sum += by_[k].refine(st, at[k]);
    return std::clamp((sum + 4) / 8, 1, 65535);
  }
  void learn(bool bit) {
    for (mix::Correction& c : by_) c.learn(bit);
  }

 private:
  std::array<mix::Correction, 4> by_{mix::Correction(1 << 8, 6), mix::Correction(1 << 16, 6),
                                     mix::Correction(1 << 16, 6), mix::Correction(1 << 16, 6)};
};

}  // namespace

struct Mixer::Parts {
  std::vector<mix::TextState> streams;
  mix::Texts texts;
  mix::MatchInputs far{texts, 12}, near{texts, 5};
  mix::Counts counts;
  mix::ModelInputs said;
  Net net{0}, without_model{model}, without_orders{orders}, without_match{match};
  Final last;

  // Of the byte in work.
  mix::Opinion opinion;
  const mix::MatchInputs* longest = nullptr;
  alignas(64) std::array<int16_t, inputs> x{};

  void begin_byte(std::size_t stream, const ByteChances& of) {
    far.begin_byte(stream);
    near.begin_byte(stream);
    longest = far.expects() && far.length() > 0 ? &far : &near;
    opinion = mix::Opinion(of);
    counts.begin(mix::contexts_of(streams[stream], opinion, longest->byte(), longest->length()));
  }

  // The inputs, and which weights they meet.
  Choice collect(std::size_t stream, int32_t p, std::size_t prefix, int place) {
    const mix::TextState& text = streams[stream];
    const std::size_t met = counts.collect(prefix, place, x.data());
    far.collect(place, &x[match_input]);
    near.collect(place, &x[match_input + mix::MatchInputs::count]);
    said.collect(p, text, prefix, &x[model_input]);
    x[constant_input] = 256;
    return choose(text, met, x[model_input], prefix, place);
  }

  // By the bits so far; the match; the last byte; how many contexts came before; the model and whether the match
  // agrees; the byte before the last; the place in the word; the model's byte.
  Choice choose(const mix::TextState& text, std::size_t met, int said_st, std::size_t prefix, int place) const {
    const auto bits = static_cast<std::size_t>(7 - place);
    const auto sure = static_cast<std::size_t>(std::clamp((said_st + 1600) / 200, 0, 15));
    const std::size_t agreed = !longest->expects() ? 0 : longest->bit(place) == (said_st > 0) ? 1 : 2;
    const bool top = (opinion.first | 256U) >> (place + 1) == prefix;  // the model's byte is possible still
    const std::size_t letters = std::min<std::size_t>(text.letters, 7);
    return {{prefix, longest->level() * 8 + bits, text.last & 255, met * 8 + bits,
             (sure * sure_levels + static_cast<std::size_t>(opinion.sure)) * 3 + agreed, text.last >> 8 & 255,
             (letters * 8 + bits) * 4 + text.kind(), (top ? 256U : 0U) + opinion.first},
            {prefix, sure * 3 + agreed}};
  }

  void learn(int place, bool bit, bool reporting) {
    counts.learn(bit);
    far.learn(place, bit);
    near.learn(place, bit);
    said.learn(bit);
    net.learn(bit);
    last.learn(bit);
    if (!reporting) return;
    without_model.learn(bit);
    without_orders.learn(bit);
    without_match.learn(bit);
  }

  void add(std::size_t stream, uint8_t byte) {
    counts.end(byte);
    streams[stream].add(byte);
    texts.add(stream, byte);
    far.add(stream, byte);
    near.add(stream, byte);
  }
};

Mixer::Mixer(bool report) : parts_(std::make_unique<Parts>()), reporting_(report) {}
Mixer::~Mixer() = default;

void Mixer::begin(int64_t streams) {
  const auto n = static_cast<std::size_t>(streams);
  parts_->streams.assign(n, {});
  parts_->texts.begin(n);
  parts_->far.begin(n);
  parts_->near.begin(n);
}

template <class F> uint8_t Mixer::walk(int64_t stream, const ByteChances& of, F&& code) {
  Parts& p = *parts_;
  const auto at = static_cast<std::size_t>(stream);
  p.begin_byte(at, of);
  ByteTree tree(of);
  std::size_t prefix = 1;
  for (int place = 7; place >= 0; --place) {
    const auto right = static_cast<int32_t>(std::clamp<uint32_t>(tree.chance() >> 16, 1, 65535));
    const Choice choice = p.collect(at, right, prefix, place);
    p.net.mix(p.x.data(), choice);
    const int32_t one = p.last.refine(p.net, p.streams[at], prefix, p.longest->expects() ? p.longest->byte() : -1);
    const bool bit = code(static_cast<Chance>(one) << 16);
    if (reporting_) {
      const auto paid = [bit](int32_t q) { return logistic::cost(bit ? q : 65536 - q); };
      report_.all += paid(one);
      report_.model += paid(right);
      for (Net* net : {&p.without_model, &p.without_orders, &p.without_match}) net->mix(p.x.data(), choice);
      report_.without_model += paid(p.without_model.p());
      report_.without_orders += paid(p.without_orders.p());
      report_.without_match += paid(p.without_match.p());
    }
    p.learn(place, bit, reporting_);
    tree.take(bit);
    prefix = 2 * prefix + (bit ? 1 : 0);
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
