#include "tensor/device.h"

#include "tensor/isa.h"
#include "tensor/packed.h"

namespace crate {

const char* name_of(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::ref:
      return "ref";
    case DeviceKind::cpu:
      return "cpu";
    case DeviceKind::cuda:
      return "cuda";
  }
  return "?";
}

DeviceKind device_kind(std::string_view name) {
  for (DeviceKind kind : {DeviceKind::ref, DeviceKind::cpu, DeviceKind::cuda}) {
    if (name == name_of(kind)) return kind;
  }
  fail("[device] expected ref, cpu or cuda, came '{}'", name);
}

const char* name_of(Products products) {
  return products == Products::bf16 ? "bf16" : products == Products::int8 ? "int8" : "f32";
}

Products products_named(std::string_view name) {
  for (const Products products : {Products::f32, Products::bf16, Products::int8}) {
    if (name == name_of(products)) return products;
  }
  fail("[device] products expected f32, bf16 or int8, came '{}'", name);
}

Device::Device(DeviceOptions options)
    : options_(options), pool_(options.guard), packed_(std::make_unique<PackedWeights>()) {
  require(options.kind != DeviceKind::cuda, "[device] this build has no CUDA kernels; use --device cpu");
}

Device::~Device() = default;

Dtype Device::real() const {
  if (options_.kind != DeviceKind::ref) return Dtype::f32;
  return options_.complex ? Dtype::c128 : Dtype::f64;
}

Dtype Device::operand() const {
#if defined(__x86_64__)
  const bool narrow = options_.kind == DeviceKind::cpu && options_.products == Products::bf16 && !options_.exact;
  if (narrow && cpu_isa() == Isa::avx512 && __builtin_cpu_supports("avx512bf16") != 0) return Dtype::bf16;
#endif
  return real();
}

Tensor Device::allocate(Shape shape, Dtype dtype) {
  Tensor t{nullptr, shape, dtype, -1};
  t.data = pool_.allocate(t.bytes());
  return t;
}

}  // namespace crate
