// reading: one pass of a model over the windows, and what is kept of its units: how often each is on, its values at the
// places chosen for probing, and, for a few units, which tokens come next where it is on.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "work/report/text.h"
#include "work/report/units.h"

namespace crate {

/// Directions of every layer: one way to look at the same forward.
using View = std::vector<Directions>;

struct ViewReading {
  int64_t tokens = 0;
  std::vector<std::vector<int64_t>> on;       // [layer][direction]: tokens at which the value is above 0
  std::vector<std::vector<float>> at_places;  // [layer]: places x directions
  /// [layer][k][token]: sum of the value of direction k < followed over the windows not held out, by the token that
  /// comes next; the last place holds the sum over all.
  std::vector<std::vector<std::vector<double>>> next;

  double density(int64_t layer, int64_t direction) const {
    return static_cast<double>(on[static_cast<std::size_t>(layer)][static_cast<std::size_t>(direction)]) /
           static_cast<double>(tokens);
  }
};

struct ReadingOptions {
  int64_t batch = 8;     // windows at a time
  int64_t followed = 0;  // directions of each layer whose next tokens are counted: the first so many
  std::function<void(int64_t done, int64_t all)> progress = {};
};

/// One reading a view.
std::vector<ViewReading> read_windows(LanguageModel& model, const std::vector<Window>& windows,
                                      const std::vector<View>& views, const std::vector<Place>& places,
                                      const ReadingOptions& options = {});

/// Mean value of every direction over a text, [layer]: texts x directions; each text runs for itself.
std::vector<std::vector<float>> mean_values(LanguageModel& model, const std::vector<LabelledText>& texts,
                                            const View& view);

/// For each direction of a layer the largest |cosine| of what it writes with what another of them writes (Gram matrix
/// of the dictionary's columns); 0 for a direction that writes nothing.
std::vector<double> coherence(LanguageModel& model, int64_t layer, const Directions& directions);

}  // namespace crate
