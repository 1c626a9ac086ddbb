#include "testing/reference.h"

#include <cmath>
#include <limits>

namespace crate {

std::vector<double> numbers_of(const Tensor& t) {
  std::vector<double> out(static_cast<std::size_t>(t.numel()));
  if (t.dtype == Dtype::f32) {
    std::copy_n(t.as<float>(), t.numel(), out.begin());
    return out;
  }
  visit_ref(t.dtype, [&](auto zero) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = re(t.as<decltype(zero)>()[i]);
  });
  return out;
}

std::vector<int32_t> tokens_of(const Array& a) {
  const auto wide = a.to_i64();
  return {wide.begin(), wide.end()};
}

double relative_error(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double error = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    error += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
  return std::sqrt(size > 0 ? error / size : error);
}

void RecordingTap::see(std::string_view site, const Tensor& value) {
  values[std::string(site)] = numbers_of(value);
  if (!run_ || value.id < 0) return;
  run_->keep_grad(value);
  tensors[std::string(site)] = value;
}

void SteeringTap::edit(std::string_view, const Tensor& value) {
  const int64_t d = value.cols();
  for (int64_t i = 0; i < value.rows(); ++i) {
    const int64_t at = i * d + channel_;
    if (value.dtype == Dtype::f32)
      value.as<float>()[at] = static_cast<float>(value_);
    else
      value.as<double>()[at] = value_;
  }
}

}  // namespace crate
