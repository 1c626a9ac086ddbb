// quantized: a model whose matrices hold small integers, one scale a row: w_ij = scale_i q_ij, |q_ij| < 2^(bits-1).
// This, not the float model, is what the codec computes with; the same float weights give the same integers everywhere.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/language_model.h"

namespace crate {

struct QuantizedMatrix {
  int64_t rows = 0, cols = 0;
  std::vector<int8_t> values;  // row-major
  std::vector<float> scales;   // a row; each fits the upper half of a float
};

struct QuantizedModel {
  ModelConfig config;
  int bits = 8;
  std::map<std::string, QuantizedMatrix> matrices;    // parameters with two dimensions, by name
  std::map<std::string, std::vector<float>> vectors;  // the others, numbers of 24 bits

  bool has(const std::string& name) const { return matrices.contains(name) || vectors.contains(name); }
  /// Throws Error when there is none of that name.
  const QuantizedMatrix& matrix(const std::string& name) const;
  const std::vector<float>& vector(const std::string& name) const;
};

/// `bits` from 2 to 8. Throws Error on other widths and on numbers that are not finite.
QuantizedModel quantize(const LanguageModel& model, int bits);

}  // namespace crate
