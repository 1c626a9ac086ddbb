// v1 dnnl_sgemm for everything, the epilogue as a pass over c.
// v2 oneDNN matmul, kernels compiled once a shape and kept; weights packed once a step; bf16 inputs where asked. The
//    inputs of a bf16 product are rounded into scratch just before it: on a CPU with AMX the product is so much faster
//    than in f32 that the extra pass is small beside the gain.
// Found: the kernels of dnnl_sgemm (oneDNN 2.6, AVX-512) run with the stack pointer in a page of the heap. A signal
// handler that interrupts them overwrites what lies below it: take signals on a thread of their own (cli/interrupt.h).
#include "tensor/gemm_cpu.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>

#include "base/parallel.h"
#include "tensor/exact.h"
#include "tensor/packed.h"
#include "tensor/vector.h"

namespace crate {
namespace {

using dnnl::memory;

// Everything a compiled product depends on.
struct Key {
  int64_t m, n, k;
  bool trans_a, trans_b, add, bf16, packed, alone;
  auto operator<=>(const Key&) const = default;
};

struct Kernel {
  dnnl::matmul::primitive_desc about;
  dnnl::matmul run;
};

struct Pack {
  uint64_t version = 0;
  memory values;
};

// A weight in the layout of one kernel: address, and the kernel's shape without its rows.
using PackKey = std::tuple<const void*, int64_t, int64_t, bool, bool, bool>;

memory::dims strides(int64_t rows, int64_t cols, bool transposed) {
  return transposed ? memory::dims{1, rows} : memory::dims{cols, 1};
}

}  // namespace

struct PackedWeights::State {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::mutex mutex;
  std::map<Key, Kernel> kernels;
  std::map<PackKey, Pack> packs;
  ExactPacks exact;
};

PackedWeights::PackedWeights() : state_(std::make_unique<State>()) {}
PackedWeights::~PackedWeights() = default;

namespace {

Kernel make_kernel(const dnnl::engine& engine, const Key& key) {
  const auto in = key.bf16 ? memory::data_type::bf16 : memory::data_type::f32;
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

const Kernel& kernel_for(PackedWeights::State& state, const Key& key) {
  const std::scoped_lock lock(state.mutex);
  const auto it = state.kernels.find(key);
  if (it != state.kernels.end()) return it->second;
  return state.kernels.emplace(key, make_kernel(state.engine, key)).first->second;
}

// Round to nearest even, as the processor's own instruction does.
CRATE_CLONES void to_bf16(const float* from, uint16_t* to, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    uint32_t bits;
    std::memcpy(&bits, from + i, sizeof(bits));
    to[i] = static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
  }
}

Scratch as_bf16(Device& device, const Tensor& t) {
  Scratch out(device.pool(), static_cast<std::size_t>(t.numel()) * sizeof(uint16_t));
  const float* from = t.as<float>();
  uint16_t* to = out.as<uint16_t>();
  parallel_for(t.numel(), 1 << 15, [=](int64_t lo, int64_t hi) { to_bf16(from + lo, to + lo, hi - lo); });
  return out;
}

memory packed_weight(Device& device, const Gemm& g, const Key& key, const Kernel& kernel) {
  PackedWeights::State& state = device.packed().state();
  const std::scoped_lock lock(state.mutex);
  // Products of few rows may want another layout than those of many.
  Pack& pack = state.packs[{g.b.data, key.n, key.k, key.trans_b, key.bf16, key.m < 16}];
  const bool stale = pack.version != device.packed().version();
  if (stale || pack.values.get_desc() != kernel.about.weights_desc()) {
    dnnl::stream stream(state.engine);
    memory plain({{key.k, key.n}, memory::data_type::f32, strides(key.k, key.n, key.trans_b)}, state.engine, g.b.data);
    if (!pack.values || pack.values.get_desc() != kernel.about.weights_desc())
      pack.values = memory(kernel.about.weights_desc(), state.engine);
    dnnl::reorder(plain, pack.values).execute(stream, plain, pack.values);
    stream.wait();
    pack.version = device.packed().version();
  }
  return pack.values;
}

void multiply(Device& device, const Gemm& g, const Key& key) {
  PackedWeights::State& state = device.packed().state();
  const Kernel& kernel = kernel_for(state, key);
  std::optional<Scratch> a16, b16;
  void *a = g.a.data, *b = g.b.data;
  if (key.bf16) a = a16.emplace(as_bf16(device, g.a)).as<uint16_t>();
  if (key.bf16 && !key.packed) b = b16.emplace(as_bf16(device, g.b)).as<uint16_t>();
  const Scratch scratchpad(device.pool(), kernel.about.scratchpad_desc().get_size());
  dnnl::stream stream(state.engine);
  const memory left(kernel.about.src_desc(), state.engine, a);
  const memory right =
      key.packed ? packed_weight(device, g, key, kernel) : memory(kernel.about.weights_desc(), state.engine, b);
  const memory out(kernel.about.dst_desc(), state.engine, g.c.data);
  kernel.run.execute(
      stream, {{DNNL_ARG_SRC, left},
               {DNNL_ARG_WEIGHTS, right},
               {DNNL_ARG_DST, out},
               {DNNL_ARG_SCRATCHPAD, memory(kernel.about.scratchpad_desc(), state.engine, scratchpad.as<void>())}});
  stream.wait();
}

struct Finish {
  float alpha;
  const float *bias, *plus;
  bool relu;
};

// One pass over rows of c: alpha, bias, plus and relu.
CRATE_CLONES void finish_rows(float* c, const Finish& f, int64_t lo, int64_t hi, int64_t n) {
  const float* bias = f.bias;
  const float alpha = f.alpha;
  const bool relu = f.relu;
  for (int64_t i = lo; i < hi; ++i) {
    float* row = c + i * n;
    const float* plus = f.plus ? f.plus + i * n : nullptr;
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      const float value = alpha * row[j] + (bias ? bias[j] : 0.0F) + (plus ? plus[j] : 0.0F);
      row[j] = relu && value <= 0 ? 0.0F : value;
    }
  }
}

void finish(const Gemm& g, const GemmShape& s, bool scale) {
  const Finish f{scale ? static_cast<float>(g.alpha) : 1.0F, g.bias ? g.bias.as<float>() : nullptr,
                 g.plus ? g.plus.as<float>() : nullptr, g.relu};
  float* c = g.c.as<float>();
  parallel_for(s.m, 64, [&](int64_t lo, int64_t hi) { finish_rows(c, f, lo, hi, s.n); });
}

// dnnl_sgemm takes alpha and needs neither packing nor a compiled kernel.
void plain_f32(const Gemm& g, const GemmShape& s) {
  // A long sum over the rows of both operands (a weight gradient) goes in slices whose rows stay in a core's cache:
  // 1.3x for (1536, 384) with k = 8192 on an Intel machine with 2 MiB a core.
  constexpr int64_t slice_rows = 512;
  const int64_t slice = g.trans_a && !g.trans_b ? slice_rows : s.k;
  const float *a = g.a.as<float>(), *b = g.b.as<float>();
  int64_t k = 0;
  do {
    const bool add = g.add || k > 0;
    const auto status = dnnl_sgemm(g.trans_a ? 'T' : 'N', g.trans_b ? 'T' : 'N', s.m, s.n, std::min(slice, s.k - k),
                                   static_cast<float>(g.alpha), a + k * s.m, g.trans_a ? s.m : s.k, b + k * s.n,
                                   g.trans_b ? s.k : s.n, add ? 1.0F : 0.0F, g.c.as<float>(), s.n);
    require(status == dnnl_success, "[gemm] oneDNN refused ({}, {}, {})", s.m, s.n, s.k);
    k += slice;
  } while (k < s.k);
}

bool bf16_pays(Device& device, const GemmShape& s) {
  return device.products() != Products::f32 && s.m * s.n * s.k > (1 << 15);
}

}  // namespace

void gemm_cpu(Device& device, const Gemm& g, const GemmShape& s) {
  // A sum with alpha other than 1 cannot be scaled afterwards.
  const bool scale_later = g.alpha != 1 && !g.add;
  if (device.exact()) {
    gemm_exact(device, device.packed().state().exact, g, s);
    if (scale_later || g.bias || g.plus || g.relu) finish(g, s, scale_later);
    return;
  }
  const bool bf16 = bf16_pays(device, s);
  const bool compiled = (g.alpha == 1 || scale_later) && (bf16 || (g.b_is_weight && s.m >= 16));
  if (compiled) {
    multiply(device, g, {s.m, s.n, s.k, g.trans_a, g.trans_b, g.add, bf16, g.b_is_weight, omp_in_parallel() != 0});
  } else {
    plain_f32(g, s);
  }
  const bool scale = compiled && scale_later;
  if (scale || g.bias || g.plus || g.relu) finish(g, s, scale);
}

}  // namespace crate
