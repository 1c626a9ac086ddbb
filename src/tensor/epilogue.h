// epilogue: what follows the sums of a product, number by number: scales, alpha, bias, plus, relu.
#pragma once
#include <cstdint>

namespace crate {

/// to = act(alpha columns[j] from [+ bias] [+ plus]), of one row; null where there is none.
struct Epilogue {
  float alpha = 1;
  const float* columns = nullptr;  // scales of an int8 product
  const float* bias = nullptr;
  const float* plus = nullptr;  // may be `to`
  bool relu = false;

  bool changes_nothing() const { return alpha == 1 && !columns && !bias && !plus && !relu; }
};

/// n numbers; `from` may be `to`.
void finish_row(const Epilogue& e, const float* from, float* to, int64_t n);

}  // namespace crate
