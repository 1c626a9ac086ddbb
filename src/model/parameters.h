// parameters: which tensors a model of a given configuration has, and what they hold at the start.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "model/store.h"

namespace crate {

struct ParameterShape {
  std::string name;
  Shape shape;
  bool decay;  // weight decay applies, as the family's authors have it
};

/// In the order of the forward; this order is the order of the store and of the weight file.
std::vector<ParameterShape> parameter_shapes(const ModelConfig& config);

struct ParameterCount {
  int64_t all = 0;
  int64_t without_positions = 0;  // as nanoGPT and the papers count: without the position table
};

/// Positions that are a formula: kept with the weights, never trained.
bool is_fixed(const ModelConfig& config, std::string_view name);

/// Needs no memory for the parameters themselves.
ParameterCount count_parameters(const ModelConfig& config);

/// The authors' initialisation; the same numbers on every device and for every thread count.
void init_parameters(ParameterStore& store, const ModelConfig& config, uint64_t seed);

}  // namespace crate
