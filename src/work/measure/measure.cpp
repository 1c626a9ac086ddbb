#include "work/measure/measure.h"

#include <algorithm>
#include <chrono>

#include "work/measure/tap.h"

namespace crate {

Measurement measure(LanguageModel& model, const Tokens& text, const MeasureOptions& options) {
  const int64_t n = model.config().context;
  require(text.size() >= n, "{} has {} tokens; a sample of this model takes {}", text.name(), text.size(), n);
  require(options.samples > 0 && options.batch > 0, "samples and batch must be above 0, came {} and {}",
          options.samples, options.batch);
  const int64_t blocks = text.size() / n, samples = std::min(options.samples, blocks);
  MeasureTap tap(model.device(), model.store(), model.config(), options.squared_precision);
  const auto start = std::chrono::steady_clock::now();
  for (int64_t from = 0; from < samples; from += options.batch) {
    const int64_t rows = std::min(options.batch, samples - from);
    std::vector<int32_t> tokens(static_cast<std::size_t>(rows * n));
    for (int64_t r = 0; r < rows; ++r) text.copy((from + r) * blocks / samples * n, n, tokens.data() + r * n);
    Run run(model.device(), {.tap = &tap});
    model.hidden(run, {tokens.data(), {rows, n}, Dtype::i32});
    if (options.progress) options.progress(from + rows, samples);
  }
  Measurement out = tap.result();
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace crate
