#include "tensor/compiled_product.h"

#include <omp.h>

#include <algorithm>

#include "base/parallel.h"
#include "tensor/isa.h"
#include "tensor/packed_state.h"
#include "tensor/round.h"
#include "tensor/wide.h"

namespace crate {
namespace {

using dnnl::memory;

memory::dims strides(int64_t rows, int64_t cols, bool transposed) {
  return transposed ? memory::dims{1, rows} : memory::dims{cols, 1};
}

bool reads_bf16() { return cpu_isa() == Isa::avx512; }

bool reads_int8() {
#if defined(__x86_64__)
  return reads_bf16() && __builtin_cpu_supports("avx512vnni") != 0;
#else
  return false;
#endif
}

memory::data_type type_of(Products products) {
  switch (products) {
    case Products::bf16:
      return reads_bf16() ? memory::data_type::bf16 : memory::data_type::f32;
    case Products::int8:
      return reads_int8() ? memory::data_type::s8 : memory::data_type::f32;
    case Products::f32:
      break;
  }
  return memory::data_type::f32;
}

CompiledKernel make_kernel(const dnnl::engine& engine, const KernelKey& key) {
  const memory::data_type in = type_of(key.products);
  const memory::desc a({key.m, key.k}, in, strides(key.m, key.k, key.trans_a));
  const memory::desc b = key.packed ? memory::desc({key.k, key.n}, in, memory::format_tag::any)
                                    : memory::desc({key.k, key.n}, in, strides(key.k, key.n, key.trans_b));
  const memory::desc c({key.m, key.n}, memory::data_type::f32, memory::format_tag::ab);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops after;
  if (key.add) after.append_sum(1.0F);
  attributes.set_post_ops(after);
  const dnnl::matmul::primitive_desc about({a, b, c}, attributes, engine);
  return {about, dnnl::matmul(about)};
}

const CompiledKernel& kernel_for(PackedWeights::State& state, const KernelKey& key) {
  const std::scoped_lock lock(state.mutex);
  const auto it = state.kernels.find(key);
  if (it != state.kernels.end()) return it->second;
  return state.kernels.emplace(key, make_kernel(state.engine, key)).first->second;
}

template <class T> Scratch rounded_to(Device& device, const Tensor& t) {
  Scratch out(device.pool(), static_cast<std::size_t>(t.numel()) * sizeof(T));
  const float* from = t.as<float>();
  T* to = out.as<T>();
  parallel_for(t.numel(), 1 << 15, [=](int64_t lo, int64_t hi) { round_bf16(from + lo, to + lo, hi - lo); });
  return out;
}

Scratch as_bf16(Device& device, const Tensor& t) {
  return reads_bf16() ? rounded_to<uint16_t>(device, t) : rounded_to<float>(device, t);
}

// The numbers of an operand as a bf16 product reads them: where they lie, or rounded into `room`.
void* narrow(Device& device, const Tensor& t, std::optional<Scratch>& room) {
  return is_narrow(t) ? t.data : room.emplace(as_bf16(device, t)).as<void>();
}

Scratch widened(Device& device, const Scratch& numbers, int64_t n) {
  Scratch out(device.pool(), static_cast<std::size_t>(n) * sizeof(float));
  std::copy_n(numbers.as<int8_t>(), n, out.as<float>());
  return out;
}

// Rows of op(a), one scale each, whatever way a lies.
Scratch as_int8(Device& device, const Tensor& a, bool transposed, float* scales) {
  Scratch out(device.pool(), static_cast<std::size_t>(a.numel()));
  const float* from = a.as<float>();
  int8_t* to = out.as<int8_t>();
  const int64_t rows = a.rows(), cols = a.cols();
  parallel_for(transposed ? cols : rows, 16, [=](int64_t lo, int64_t hi) {
    if (transposed)
      round_int8_columns(from, to, scales, rows, cols, lo, hi);
    else
      round_int8(from, to, scales, cols, lo, hi);
  });
  return reads_int8() ? std::move(out) : widened(device, out, a.numel());
}

void pack(Device& device, const Gemm& g, const KernelKey& key, const CompiledKernel& kernel, WeightPack& pack) {
  PackedWeights::State& state = device.packed().state();
  const bool int8 = key.products == Products::int8;
  std::optional<Scratch> rounded;
  if (int8) {
    std::vector<float> scales(static_cast<std::size_t>(key.n));
    rounded.emplace(as_int8(device, g.b, !key.trans_b, scales.data()));
    // They are the same for every layout of a version, and another thread may be reading them.
    if (pack.version != device.packed().version()) pack.scales = std::move(scales);
  } else if (key.products == Products::bf16 && !reads_bf16()) {
    rounded.emplace(as_bf16(device, g.b));
  }
  dnnl::stream stream(state.engine);
  const memory::data_type type = int8 ? type_of(key.products) : memory::data_type::f32;
  memory plain({{key.k, key.n}, type, strides(key.k, key.n, key.trans_b)}, state.engine,
               rounded ? rounded->as<void>() : g.b.data);
  if (!pack.values || pack.values.get_desc() != kernel.about.weights_desc())
    pack.values = memory(kernel.about.weights_desc(), state.engine);
  dnnl::reorder(plain, pack.values).execute(stream, plain, pack.values);
  stream.wait();
  pack.version = device.packed().version();
}

const WeightPack& packed_weight(Device& device, const Gemm& g, const KernelKey& key, const CompiledKernel& kernel) {
  PackedWeights::State& state = device.packed().state();
  const std::scoped_lock lock(state.mutex);
  // Products of few rows may want another layout than those of many.
  WeightPack& own = state.packs[{g.b.data, key.n, key.k, key.trans_b, key.products, key.m < 16}];
  const bool stale = own.version != device.packed().version();
  if (stale || own.values.get_desc() != kernel.about.weights_desc()) pack(device, g, key, kernel, own);
  return own;
}

}  // namespace

ProductScales compiled_product(Device& device, const Gemm& g, const GemmShape& s, Products products) {
  PackedWeights::State& state = device.packed().state();
  const KernelKey key{s.m, s.n, s.k, g.trans_a, g.trans_b, g.add, products, g.b_is_weight, omp_in_parallel() != 0};
  const CompiledKernel& kernel = kernel_for(state, key);
  ProductScales scales;
  std::optional<Scratch> narrow_a, narrow_b;
  void *a = g.a.data, *b = g.b.data;
  if (products == Products::bf16) {
    a = narrow(device, g.a, narrow_a);
    if (!key.packed) b = narrow(device, g.b, narrow_b);
  } else if (products == Products::int8) {
    scales.rows.emplace(device.pool(), static_cast<std::size_t>(s.m) * sizeof(float));
    a = narrow_a.emplace(as_int8(device, g.a, g.trans_a, scales.rows->as<float>())).as<void>();
  }
  memory right;
  if (key.packed) {
    const WeightPack& weight = packed_weight(device, g, key, kernel);
    right = weight.values;
    if (products == Products::int8) scales.columns = weight.scales.data();
  } else {
    right = memory(kernel.about.weights_desc(), state.engine, b);
  }
  const Scratch scratchpad(device.pool(), kernel.about.scratchpad_desc().get_size());
  dnnl::stream stream(state.engine);
  const memory left(kernel.about.src_desc(), state.engine, a);
  const memory out(kernel.about.dst_desc(), state.engine, g.c.data);
  kernel.run.execute(
      stream, {{DNNL_ARG_SRC, left},
               {DNNL_ARG_WEIGHTS, right},
               {DNNL_ARG_DST, out},
               {DNNL_ARG_SCRATCHPAD, memory(kernel.about.scratchpad_desc(), state.engine, scratchpad.as<void>())}});
  stream.wait();
  return scales;
}

}  // namespace crate
