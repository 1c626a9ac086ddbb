// wide: tensors that are kept as bf16 (Device::operand), for code that knows f32 alone. What is f32 already is itself,
// so such code has the same bits as before where nothing is narrow.
#pragma once
#include <optional>
#include <vector>

#include "tensor/device.h"

namespace crate {

inline bool is_narrow(const Tensor& t) { return t.dtype == Dtype::bf16; }

/// The numbers of t in f32: t, or a copy that lives as long as this.
class Wide {
 public:
  Wide(Device& device, const Tensor& t);
  const Tensor& operator*() const { return tensor_; }
  const Tensor* operator->() const { return &tensor_; }

 private:
  std::optional<Scratch> copy_;
  Tensor tensor_;
};

/// The rows of t one after the other, as f32, to read and to write: where they lie, or in a row of its own.
class WideRows {
 public:
  explicit WideRows(const Tensor& t);
  /// Row i to be read.
  const float* read(int64_t i);
  /// Where row i is to be written; then call done(i).
  float* write(int64_t i) { return narrow_ ? row_.data() : at<float>(i); }
  void done(int64_t i);

 private:
  template <class T> T* at(int64_t i) const { return static_cast<T*>(data_) + i * n_; }
  void* data_;
  int64_t n_;
  bool narrow_;
  std::vector<float> row_;
};

}  // namespace crate
