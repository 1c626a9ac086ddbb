// growth: how the cost of a model grows with one of its sizes. Each size is measured on its own, and a power law
// is fitted (base/power_law.h).
#pragma once
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/power_law.h"
#include "work/bench/bench.h"

namespace crate {

/// What grows; everything else stays.
///   tokens  the context, in one sequence; of images the patches, so the side of the image
///   width   dim, with heads of the same width and as many atoms a channel
///   depth   layers
///   batch   sequences or images a step
///   vocab   entries of the vocabulary
///   atoms   codes of a wide dictionary, or hidden units of an mlp
///   codes   per cent of a wide dictionary's codes that are not zero, by its thresholds; of decoding, not of training
enum class GrowingSize : uint8_t { tokens, width, depth, batch, vocab, atoms, codes };

const char* name_of(GrowingSize size);
/// Throws Error on an unknown name.
GrowingSize growing_size(std::string_view name);
/// The sizes that are measured when none are given.
std::vector<int64_t> usual_sizes(GrowingSize size, const ModelConfig& config);
/// `config` at another size. Throws Error when the family has no such size or the value does not fit.
ModelConfig grown(ModelConfig config, GrowingSize size, int64_t value);

struct GrowthOptions {
  GrowingSize size = GrowingSize::tokens;
  std::vector<int64_t> values = {};  // rising; none: the usual ones
  int64_t batch = 0;                 // 0: 1 where tokens grow, else 8
  int repeats = 3;                   // a round, after a warm-up; their median counts
  int rounds = 3;                    // over all sizes; the fastest counts, for a machine may be busy for a while
  double enough_ms = 5000;           // a step that takes so long is measured in the first round alone
};

struct GrowthPoint {
  int64_t value = 0;
  ModelConfig config;
  int64_t batch = 0, tokens = 0;  // tokens a step, of all sequences or images
  SpeedOf train, forward;
  TrainingMemory memory;
  DecodeSpeed decode = {};  // where codes grow, and nothing else then
};

/// `told` hears of each measurement before it is made.
std::vector<GrowthPoint> measure_growth(const ModelConfig& config, const DeviceOptions& device,
                                        const GrowthOptions& options,
                                        const std::function<void(int round, int64_t value)>& told = {});

/// What is fitted, and drawn: training, forward, memory; where codes grow a token of decoding, and what it reads.
struct GrowthCurve {
  const char* name;
  bool is_bytes;
  std::vector<std::pair<double, double>> points;  // (size, ms or bytes)
  PowerLaw law;
};
std::vector<GrowthCurve> curves_of(const std::vector<GrowthPoint>& points);

}  // namespace crate
