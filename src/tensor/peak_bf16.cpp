#include <dnnl.hpp>

#include <algorithm>
#include <chrono>

#include "tensor/peak.h"

namespace crate {
namespace {

double product_gflops(const dnnl::engine& engine, int64_t n, int repeats) {
  using dnnl::memory;
  const auto any = [n](memory::data_type type) { return memory::desc({n, n}, type, memory::format_tag::any); };
  const dnnl::matmul::primitive_desc about(
      {any(memory::data_type::bf16), any(memory::data_type::bf16), any(memory::data_type::f32)}, engine);
  const memory a(about.src_desc(), engine), b(about.weights_desc(), engine), c(about.dst_desc(), engine);
  for (const memory& m : {a, b}) {  // ones: bf16 0x3F80
    auto* numbers = static_cast<uint16_t*>(m.get_data_handle());
    std::fill(numbers, numbers + m.get_desc().get_size() / 2, uint16_t{0x3F80});
  }
  const dnnl::matmul product(about);
  dnnl::stream stream(engine);
  double best = 0;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    product.execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
    stream.wait();
    const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2e-9 * static_cast<double>(n * n * n) / s);
  }
  return best;
}

}  // namespace

double measure_bf16_peak() {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  try {
    return std::max(
        {product_gflops(engine, 1024, 6), product_gflops(engine, 1536, 6), product_gflops(engine, 2048, 6)});
  } catch (const dnnl::error&) {  // "could not create a primitive descriptor": no such kernel for this processor
    return 0;
  }
}

}  // namespace crate
