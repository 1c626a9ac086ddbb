// measure: a model looked at layer by layer over part of a corpus, in one evaluation pass.
#pragma once
#include <functional>

#include "model/language_model.h"
#include "work/data/tokens.h"
#include "work/measure/measurement.h"

namespace crate {

struct MeasureOptions {
  int64_t samples = 64;  // at most; sequences of the model's context, spread evenly over the text
  int64_t batch = 8;     // samples at a time
  double squared_precision = 0.01;
  std::function<void(int64_t done, int64_t total)> progress = {};
};

/// Throws Error when the text is shorter than one context.
Measurement measure(LanguageModel& model, const Tokens& text, const MeasureOptions& options = {});

}  // namespace crate
