// measure: a model looked at layer by layer over part of a corpus or of a set of images, in one evaluation pass.
#pragma once
#include <functional>

#include "model/language_model.h"
#include "model/models.h"
#include "work/data/tokens.h"
#include "work/image/set.h"
#include "work/measure/measurement.h"

namespace crate {

struct MeasureOptions {
  int64_t samples = 64;  // at most; images, or sequences of the model's context, spread evenly over the data
  int64_t batch = 8;     // samples at a time
  double squared_precision = 0.01;
  int resize = -1;  // images: the short side before the middle is cut out; -1: as an evaluation does
  std::function<void(int64_t done, int64_t total)> progress = {};
};

/// Throws Error when the text is shorter than one context.
Measurement measure(LanguageModel& model, const Tokens& text, const MeasureOptions& options = {});
/// Images as an evaluation sees them, at the size the model was trained with. Throws Error when one is damaged.
Measurement measure(Model& model, const ImageSet& images, const MeasureOptions& options = {});

}  // namespace crate
