#include "tensor/wide.h"

#include "base/parallel.h"
#include "tensor/round.h"

namespace crate {

Wide::Wide(Device& device, const Tensor& t) : tensor_(t) {
  if (!is_narrow(t)) return;
  tensor_.dtype = Dtype::f32;
  tensor_.data = copy_.emplace(device.pool(), tensor_.bytes()).as<void>();
  const auto* from = static_cast<const uint16_t*>(t.data);
  float* to = tensor_.as<float>();
  parallel_for(t.numel(), 1 << 15, [=](int64_t lo, int64_t hi) { widen_bf16(from + lo, to + lo, hi - lo); });
}

WideRows::WideRows(const Tensor& t)
    : data_(t.data), n_(t.cols()), narrow_(is_narrow(t)), row_(static_cast<std::size_t>(narrow_ ? n_ : 0)) {
  require(narrow_ || t.dtype == Dtype::f32, "[wide] expected f32 or bf16, came {}", name_of(t.dtype));
}

const float* WideRows::read(int64_t i) {
  if (!narrow_) return at<float>(i);
  widen_bf16(at<uint16_t>(i), row_.data(), n_);
  return row_.data();
}

void WideRows::done(int64_t i) {
  if (narrow_) round_bf16(row_.data(), at<uint16_t>(i), n_);
}

}  // namespace crate
