// device: where a run computes and in what numbers. `ref` is naive float64 (or complex, for complex-step gradients),
// `cpu` is fast float32 with products optionally taken on narrower inputs, `cuda` has no kernels in this build.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tensor/pool.h"
#include "tensor/tensor.h"

namespace crate {

enum class DeviceKind : uint8_t { ref, cpu, cuda };

const char* name_of(DeviceKind kind);
/// "ref" | "cpu" | "cuda"; throws on anything else.
DeviceKind device_kind(std::string_view name);

/// What the matrix products of `cpu` read; their results, and all other numbers, stay f32.
///   bf16: copies of both operands rounded to bfloat16, summed in f32; attention's too, where the machine multiplies
///         such numbers.
///   int8: where one operand is a weight, both as whole numbers in -127 .. 127 times a scale, one scale a row of the
///         weight's outputs and one a row of the other operand, summed exactly; all other products as bf16. Of a few
///         rows the other operand keeps more (few_rows.h). For inference: a gradient through such a product is that of
///         the rounded weight.
enum class Products : uint8_t { f32, bf16, int8 };

const char* name_of(Products products);
/// "f32" | "bf16" | "int8"; throws on anything else.
Products products_named(std::string_view name);

struct DeviceOptions {
  DeviceKind kind = DeviceKind::cpu;
  bool complex = false;               // ref only: complex<double> instead of double
  Products products = Products::f32;  // cpu only
  bool exact = false;                 // cpu only: the same bits on every x86-64 machine with AVX2, see exact.h
  bool guard = false;                 // fence every block of memory (tests)
};

class PackedWeights;  // packed copies of weights, see gemm.h

class Device {
 public:
  explicit Device(DeviceOptions options = {});
  ~Device();

  DeviceKind kind() const { return options_.kind; }
  /// The dtype of activations, parameters and gradients here.
  Dtype real() const;
  Products products() const { return options_.products; }
  /// The dtype of what is kept for products alone: bf16 where they read it and the machine multiplies it, else real().
  Dtype operand() const;
  bool exact() const { return options_.exact; }
  Pool& pool() { return pool_; }
  PackedWeights& packed() { return *packed_; }

  /// A tensor of its own block; give it back with pool().release(t.data).
  Tensor allocate(Shape shape, Dtype dtype);
  Tensor allocate(Shape shape) { return allocate(shape, real()); }

 private:
  DeviceOptions options_;
  Pool pool_;
  std::unique_ptr<PackedWeights> packed_;
};

/// One operator direction's kernels, one per device; `cuda` files later fill the third place.
template <class Fn> struct Kernels {
  const char* op;
  Fn* ref = nullptr;
  Fn* cpu = nullptr;
  Fn* cuda = nullptr;

  Fn* on(DeviceKind kind) const {
    Fn* kernel = kind == DeviceKind::ref ? ref : kind == DeviceKind::cpu ? cpu : cuda;
    require(kernel != nullptr, "[{}] has no {} kernel in this build", op, name_of(kind));
    return kernel;
  }
};

/// Calls f(T{}) with T = double or std::complex<double>, the scalars of `ref`.
template <class F> void visit_ref(Dtype dtype, F&& f) {
  if (dtype == Dtype::f64) return f(double{});
  require(dtype == Dtype::c128, "[ref] computes in f64 or c128, came {}", name_of(dtype));
  f(std::complex<double>{});
}

/// Comparisons of reference code read the real part, so that kinks do not disturb the complex step.
inline float re(float x) { return x; }
inline double re(double x) { return x; }
inline double re(const std::complex<double>& x) { return x.real(); }

}  // namespace crate
