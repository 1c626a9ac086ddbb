// integer_halves: the second half of a block on integers: ista, ista_wide or mlp, see the headers of those operators.
#pragma once
#include <memory>

#include "work/compress/integer_layers.h"

namespace crate {

class IntegerHalf {
 public:
  virtual ~IntegerHalf() = default;
  /// v (rows, d), Q16, is what the norm before it gave; y (rows, d) comes out, without the residual.
  virtual void apply(const IntegerKernels& kernels, const int32_t* v, int64_t rows, int32_t* y,
                     IntegerScratch& scratch) const = 0;
};

/// Of the family the model belongs to.
std::unique_ptr<IntegerHalf> integer_half(const QuantizedModel& model, int64_t layer);

}  // namespace crate
