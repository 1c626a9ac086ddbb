// mixer: what the model says of the next byte, mixed with what simple statistics say, a bit at a time.
//
//   st(p) = ln(p / (1 - p))      p = squash(sum_i w_i st(p_i))      w_i += rate st(p_i) (bit - p)
//
// Mahoney, "Adaptive weighing of context models for lossless data compression", 2005. The parts:
//   mix_counts    under each context of mix_contexts, three inputs: what the bits met there so far were worth, what a
//                 counter of them was, and what the byte that came last there was, by how often in a row it came;
//                 four of the contexts hold the byte that the model thinks most likely
//   mix_match     the bytes that followed the last occurrence of the last 12, and of the last 5
//   mix_model     the model's own probability of the bit, and it corrected under what of the text is near
//   mix_net       eight sums, each with weights chosen by something else, and two sums of these
// Four corrections of the answer have half a vote. All in integers, so it is the same on every machine.
//
// What was tried, under models/wiki-bytes on the first 200,000 bytes of wiki-test, is in docs/experiments.md ("Mixing
// again"). Most are the last byte in a row and the slower weights; of the contexts, the word and the last byte.
//
// Streams in lockstep share counters and weights; each has its own last bytes.
#pragma once
#include <cstdint>
#include <memory>

#include "work/compress/coder.h"
#include "work/compress/logistic.h"

namespace crate {

/// What the parts were worth, in bits of what was coded.
struct MixReport {
  double all = 0;            // as coded
  double model = 0;          // the model alone
  double without_model = 0;  // mixed from the others alone
  double without_orders = 0, without_match = 0;
};

class Mixer {
 public:
  /// `report`: also keeps what other mixtures would have cost; slower, and nothing else changes.
  explicit Mixer(bool report);
  ~Mixer();

  /// New streams: nothing before them; what was learned stays.
  void begin(int64_t streams);
  void put(BitEncoder& coder, int64_t stream, const ByteChances& model, uint8_t byte);
  uint8_t get(BitDecoder& coder, int64_t stream, const ByteChances& model);
  const MixReport& report() const { return report_; }

 private:
  struct Parts;
  template <class F> uint8_t walk(int64_t stream, const ByteChances& of, F&& code);

  std::unique_ptr<Parts> parts_;
  bool reporting_;
  MixReport report_;
};

}  // namespace crate
