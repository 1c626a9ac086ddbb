// integer_baseline: the kernels of the codec in plain loops, for every machine.
#include "work/compress/integer_kernel.h"

namespace crate {
namespace {

void add_group(const int8_t* w, const uint8_t* a, int32_t* sums) {
  for (int64_t i = 0; i < pack_rows; ++i)
    for (int64_t c = 0; c < pack_columns; ++c)
      sums[i] += static_cast<int32_t>(w[i * pack_columns + c]) * static_cast<int32_t>(a[c]);
}

void sparse_product(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts, const int32_t* listed,
                    int64_t count, int32_t* sums) {
  for (int64_t b = 0; b < blocks; ++b, packed += groups * 64, sums += pack_rows) {
    for (int64_t i = 0; i < pack_rows; ++i) sums[i] = 0;
    for (int64_t t = 0; t < count; ++t)
      add_group(packed + listed[t] * int64_t{64}, acts + listed[t] * pack_columns, sums);
  }
}

void product(const int8_t* packed, int64_t blocks, int64_t groups, const uint8_t* acts, int64_t act_stride,
             int64_t rows, int32_t* sums, int64_t sum_stride) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t b = 0; b < blocks; ++b) {
      int32_t* to = sums + r * sum_stride + b * pack_rows;
      for (int64_t i = 0; i < pack_rows; ++i) to[i] = 0;
      for (int64_t g = 0; g < groups; ++g)
        add_group(packed + (b * groups + g) * 64, acts + r * act_stride + g * pack_columns, to);
    }
  }
}

}  // namespace

const IntegerKernels integer_baseline{"baseline", 128,    product,   sparse_product, dots,     softmax,  mix,
                                      sum,        widest, squares,   normed,         to_bytes, rescale,  proximal,
                                      weigh,      turn,   to_shorts, exclude,        add,      multiply, chances};

}  // namespace crate
