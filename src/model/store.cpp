#include "model/store.h"

#include "tensor/gemm.h"

namespace crate {

ParameterStore::~ParameterStore() {
  for (Param& p : params_) {
    device_.pool().release(p.value.data);
    if (p.grad) device_.pool().release(p.grad.data);
  }
}

Param& ParameterStore::add(const std::string& name, Shape shape) {
  require(index_.emplace(name, params_.size()).second, "[store] parameter {} exists already", name);
  params_.push_back({name, device_.allocate(shape), {}, false, shape.rank() >= 2});
  return params_.back();
}

Param& ParameterStore::at(std::string_view name) {
  const auto it = index_.find(std::string(name));
  require(it != index_.end(), "[store] no parameter {}", name);
  return params_[it->second];
}

int64_t ParameterStore::count() const {
  int64_t n = 0;
  for (const Param& p : params_) n += p.value.numel();
  return n;
}

void ParameterStore::allocate_grads() {
  for (Param& p : params_) {
    if (!p.grad) p.grad = device_.allocate(p.value.shape);
  }
}

void ParameterStore::forget_grads() {
  for (Param& p : params_) p.has_grad = false;
}

void ParameterStore::values_changed() { weights_changed(device_); }

}  // namespace crate
