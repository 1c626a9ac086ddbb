#include "work/measure/measure.h"

#include <algorithm>
#include <chrono>

#include "base/parallel.h"
#include "work/eval/evaluate_images.h"
#include "work/measure/tap.h"

namespace crate {

namespace {

using Clock = std::chrono::steady_clock;

// Calls f(run, first sample, samples) batch by batch.
template <class F> Measurement in_batches(Model& model, int64_t samples, const MeasureOptions& options, F&& f) {
  require(options.samples > 0 && options.batch > 0, "samples and batch must be above 0, came {} and {}",
          options.samples, options.batch);
  MeasureTap tap(model.device(), model.store(), model.config(), options.squared_precision);
  const auto start = Clock::now();
  for (int64_t from = 0; from < samples; from += options.batch) {
    const int64_t count = std::min(options.batch, samples - from);
    Run run(model.device(), {.tap = &tap});
    f(run, from, count);
    if (options.progress) options.progress(from + count, samples);
  }
  Measurement out = tap.result();
  out.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return out;
}

}  // namespace

Measurement measure(LanguageModel& model, const Tokens& text, const MeasureOptions& options) {
  const int64_t n = model.config().context;
  require(text.size() >= n, "{} has {} tokens; a sample of this model takes {}", text.name(), text.size(), n);
  const int64_t blocks = text.size() / n, samples = std::min(options.samples, blocks);
  return in_batches(model, samples, options, [&](Run& run, int64_t from, int64_t rows) {
    std::vector<int32_t> tokens(static_cast<std::size_t>(rows * n));
    for (int64_t r = 0; r < rows; ++r) text.copy((from + r) * blocks / samples * n, n, tokens.data() + r * n);
    model.hidden(run, {tokens.data(), {rows, n}, Dtype::i32});
  });
}

Measurement measure(Model& model, const ImageSet& images, const MeasureOptions& options) {
  const ImageConfig& c = model.config().image;
  EvalTransform transform = transform_for(model.config());
  if (options.resize >= 0) transform.resize = options.resize;
  const Normalisation normalisation = normalisation_for(model.config());
  const int64_t all = images.size(), samples = std::min(options.samples, all), each = c.channels * c.height * c.width;
  require(all > 0, "{} holds no image", images.source());
  return in_batches(model, samples, options, [&](Run& run, int64_t from, int64_t rows) {
    std::vector<float> numbers(static_cast<std::size_t>(rows * each));
    parallel_chunks(rows, 1, [&](int64_t r, int64_t, int64_t) {
      const Image image = with_channels(images.decode((from + r) * all / samples), static_cast<int>(c.channels));
      normalise(transformed(image, transform), normalisation, numbers.data() + r * each);
    });
    tokens_of_images(model, run, {numbers.data(), {rows, c.channels, c.height, c.width}, Dtype::f32});
  });
}

}  // namespace crate
