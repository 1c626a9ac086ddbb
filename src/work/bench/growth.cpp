#include "work/bench/growth.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace crate {
namespace {

constexpr std::size_t fewest_sizes = 3;
constexpr const char* names[] = {"tokens", "width", "depth", "batch", "vocab", "atoms", "codes"};

std::vector<int64_t> doublings(int64_t from, int64_t to) {
  std::vector<int64_t> out;
  for (int64_t x = from; x <= to; x *= 2) out.push_back(x);
  return out;
}

// `share` of a whole number, which must come out whole.
int64_t scaled(int64_t number, int64_t value, int64_t old, const char* what) {
  require(number * value % old == 0 && number * value >= old, "[growth] width {}: {} {} at width {} do not scale",
          value, number, what, old);
  return number * value / old;
}

// About 128 to 1024, as the heads of `c` allow.
std::vector<int64_t> widths(const ModelConfig& c) {
  const int64_t step = std::max<int64_t>(1, c.dim / std::gcd(c.dim, c.heads));
  std::vector<int64_t> out;
  for (const int64_t wanted : {128, 256, 384, 512, 768, 1024}) {
    const int64_t width = std::max<int64_t>(1, (wanted + step / 2) / step) * step;
    if (out.empty() || width > out.back()) out.push_back(width);
  }
  return out;
}

ModelConfig with_tokens(ModelConfig c, int64_t value) {
  if (!is_image(c.family)) {
    c.context = value;
    return c;
  }
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(value))));
  require(side * side == value, "[growth] patches of a square image are a square number, came {}", value);
  c.image.height = side * c.image.patch;
  c.image.width = side * c.image.patch_columns();
  return c;
}

ModelConfig with_width(ModelConfig c, int64_t value) {
  c.heads = scaled(c.heads, value, c.dim, "heads");
  if (c.atoms > 0) c.atoms = scaled(c.atoms, value, c.dim, "atoms");
  c.dim = value;
  return c;
}

int64_t batch_of(const GrowthOptions& options, int64_t value) {
  if (options.size == GrowingSize::batch) return value;
  if (options.batch > 0) return options.batch;
  return options.size == GrowingSize::tokens || options.size == GrowingSize::codes ? 1 : 8;
}

void measure_decoding(GrowthPoint& point, const DeviceOptions& device, int repeats) {
  const DecodeOptions options{
      .sequences = point.batch, .codes = 0.01 * static_cast<double>(point.value), .repeats = repeats};
  const DecodeSpeed now = bench_decode(point.config, device, options);
  if (point.decode.step.ms == 0 || now.step.ms < point.decode.step.ms) point.decode = now;
}

void measure(GrowthPoint& point, const DeviceOptions& device, int repeats) {
  const auto keep = [](SpeedOf& best, const SpeedOf& now) {
    if (best.ms == 0 || now.ms < best.ms) best = now;
  };
  if (is_image(point.config.family)) {
    const ImageSpeed s =
        bench_images(point.config, device, {.batches = {point.batch}, .train_batch = point.batch, .repeats = repeats});
    keep(point.train, s.train);
    keep(point.forward, s.forward.front().second);
    point.memory = s.memory;
    return;
  }
  const ModelSpeed s =
      bench_model(point.config, device, {.part = BenchPart::passes, .batch = point.batch, .repeats = repeats});
  keep(point.train, s.train);
  keep(point.forward, s.forward);
  point.memory = s.memory;
}

}  // namespace

const char* name_of(GrowingSize size) { return names[static_cast<std::size_t>(size)]; }

GrowingSize growing_size(std::string_view name) {
  for (std::size_t i = 0; i < std::size(names); ++i) {
    if (name == names[i]) return static_cast<GrowingSize>(i);
  }
  fail("[growth] tokens, width, depth, batch, vocab, atoms or codes, came '{}'", name);
}

std::vector<int64_t> usual_sizes(GrowingSize size, const ModelConfig& config) {
  switch (size) {
    case GrowingSize::tokens:
      return is_image(config.family) ? std::vector<int64_t>{49, 100, 196, 400, 784, 1600, 3136} : doublings(256, 16384);
    case GrowingSize::width:
      return widths(config);
    case GrowingSize::depth:
      return doublings(1, 16);
    case GrowingSize::batch:
      return doublings(1, 64);
    case GrowingSize::vocab:
      return doublings(256, 65536);
    case GrowingSize::atoms:
      return doublings(256, 8192);
    case GrowingSize::codes:
      return {1, 2, 5, 10, 20, 40, 80};
  }
  return {};
}

ModelConfig grown(ModelConfig c, GrowingSize size, int64_t value) {
  require(value > 0, "[growth] a size is above 0, came {}", value);
  switch (size) {
    case GrowingSize::tokens:
      c = with_tokens(c, value);
      break;
    case GrowingSize::width:
      c = with_width(c, value);
      break;
    case GrowingSize::depth:
      c.layers = value;
      break;
    case GrowingSize::batch:
      break;
    case GrowingSize::vocab:
      require(!is_image(c.family), "[growth] {} reads images, it has no vocabulary", name_of(c.family));
      c.vocab = value;
      break;
    case GrowingSize::atoms:
      require(!has_square_code(c.family), "[growth] the dictionary of {} is square, its atoms are its width",
              name_of(c.family));
      c.atoms = value;
      break;
    case GrowingSize::codes:
      require(value <= 100, "[growth] codes are a share in per cent, came {}", value);
      break;
  }
  c.validate();
  return c;
}

std::vector<GrowthPoint> measure_growth(const ModelConfig& config, const DeviceOptions& device,
                                        const GrowthOptions& options,
                                        const std::function<void(int round, int64_t value)>& told) {
  std::vector<GrowthPoint> points;
  for (const int64_t value : options.values.empty() ? usual_sizes(options.size, config) : options.values) {
    require(points.empty() || value > points.back().value, "[growth] the sizes rise, {} came after {}", value,
            points.empty() ? 0 : points.back().value);
    GrowthPoint point;
    point.value = value;
    point.config = grown(config, options.size, value);
    point.batch = batch_of(options, value);
    point.tokens = point.batch * (is_image(config.family) ? point.config.image.tokens() : point.config.context);
    points.push_back(point);
  }
  require(points.size() >= fewest_sizes, "[growth] a power law is fitted to three sizes or more, came {}",
          points.size());
  for (int round = 0; round < options.rounds; ++round) {
    for (GrowthPoint& point : points) {
      if (round > 0 && point.train.ms > options.enough_ms) continue;
      if (told) told(round, point.value);
      (options.size == GrowingSize::codes ? measure_decoding : measure)(point, device, options.repeats);
    }
  }
  return points;
}

std::vector<GrowthCurve> curves_of(const std::vector<GrowthPoint>& points) {
  const bool decoding = points.front().decode.step.ms > 0;
  std::vector<GrowthCurve> curves;
  const auto add = [&](const char* name, bool is_bytes, auto&& number) {
    curves.push_back({name, is_bytes, {}, {}});
    for (const GrowthPoint& p : points) curves.back().points.emplace_back(static_cast<double>(p.value), number(p));
  };
  if (decoding) {
    add("decoding", false, [](const GrowthPoint& p) { return p.decode.step.ms; });
    add("reading", true, [](const GrowthPoint& p) { return p.decode.bytes; });
  } else {
    add("training", false, [](const GrowthPoint& p) { return p.train.ms; });
    add("forward", false, [](const GrowthPoint& p) { return p.forward.ms; });
    add("memory", true, [](const GrowthPoint& p) { return p.memory.peak_bytes; });
  }
  for (GrowthCurve& curve : curves) curve.law = fit_power_law(curve.points);
  return curves;
}

}  // namespace crate
