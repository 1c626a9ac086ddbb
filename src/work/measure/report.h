// report: measurements as JSON and as the figure of the papers (Yu et al. 2023, figure 3): R^c against the layer on the
// left, the non-zero fraction against the layer on the right, mean and deviation over the samples.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "work/measure/measurement.h"

namespace crate {

/// Everything. {"mean": .., "deviation": ..} where samples differ.
nlohmann::json json_of(const Measurement& m);

/// What a training run writes down of it: means only, an array a quantity with a number a layer, "layer_rate_c", ..
nlohmann::json summary_of(const Measurement& m);

/// One line a measurement, named by `names`. Layers count from 1, as there.
std::string figure_of(const std::vector<Measurement>& measurements, const std::vector<std::string>& names);

}  // namespace crate
