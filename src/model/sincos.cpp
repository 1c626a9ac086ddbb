#include "model/sincos.h"

#include <cmath>

namespace crate {
namespace {

double number(int64_t place, int64_t columns, int64_t d, int64_t j) {
  const int64_t half = d / 2, quarter = d / 4, i = j % quarter;
  const auto at = static_cast<double>(j < half ? place % columns : place / columns);
  const double angle = at * std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(quarter));
  return j % half < quarter ? std::sin(angle) : std::cos(angle);
}

}  // namespace

void write_sincos(const Tensor& table, int64_t rows, int64_t columns) {
  const int64_t d = table.cols(), before = table.rows() - rows * columns;
  require(d % 4 == 0 && before >= 0, "[sincos] a table {} cannot hold a grid of {} x {}", table.shape.str(), rows,
          columns);
  const auto fill = [&](auto* values) {
    for (int64_t i = 0; i < table.numel(); ++i) {
      const int64_t place = i / d - before;
      values[i] = place < 0 ? 0.0F : static_cast<float>(number(place, columns, d, i % d));
    }
  };
  if (table.dtype == Dtype::f32)
    fill(table.as<float>());
  else
    visit_ref(table.dtype, [&](auto zero) { fill(table.as<decltype(zero)>()); });
}

}  // namespace crate
