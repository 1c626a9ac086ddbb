// mixer: what the model says of the next byte, mixed with what simple statistics say, a bit at a time.
//
//   st(p) = ln(p / (1 - p))      p = squash(sum_i w_i st(p_i))      w_i += rate st(p_i) (bit - p)
//
// Mahoney, "Adaptive weighing of context models for lossless data compression", 2005. The parts: the model's own
// probability of the bit; counters under the last 1 .. 6 and 8 bytes, the word so far, it and the word before, and two
// and three bytes behind the last, each with a map that learns what a counter of this state is worth; the byte that
// followed the last occurrence of the last bytes. Four sets of weights, chosen by the bits so far, the match, the last
// byte and how many contexts came before, give four answers that are mixed again; two maps correct the result. All in
// integers, so it is the same on every machine.
//
// What was tried, on the first 256 KiB of an excerpt of enwik8, statistics alone, bits a byte: seven contexts, three
// sets of weights and a rate of 6 2.082 in 32 streams and 1.990 in one; eleven contexts 1.978; a rate of 3 1.963, of 2
// 1.960, of 1 in the second layer besides 1.958; the fourth set 1.949. Maps that learn twice as fast: worse by 0.011.
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
