// tune: weights that know that they will be rounded. A step of training looks at the rounded weights and moves the
// others; what is rounded away in one step adds up over many until a weight crosses to the next level.
//
//   q = round(w)      w <- w - rate AdamW(d loss / d q)      Bengio and others, arXiv 1308.3432: straight through
//
// The scales of the rows are chosen anew in every step (quantized.h).
#pragma once
#include <cstdint>
#include <functional>
#include <string_view>

#include "work/compress/quantized.h"

namespace crate {

struct TuneOptions {
  int64_t steps = 200;
  int64_t batch = 16;  // windows a step, from anywhere in the text
  double rate = 1e-3;  // at the start; falls to nothing along half a cosine
  uint64_t seed = 1;
  std::function<void(int64_t step, double loss)> progress = {};  // loss: nats a byte, of the rounded weights
};

/// quantize() of what the tuning made of `model`, whose weights it changes. Throws Error when the model does not read
/// bytes or the text is shorter than a window.
QuantizedModel quantize_tuned(LanguageModel& model, int bits, std::string_view text, const TuneOptions& options);

}  // namespace crate
