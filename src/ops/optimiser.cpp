#include "ops/optimiser.h"

#include <algorithm>
#include <vector>

#include "base/parallel.h"
#include "tensor/vector.h"

namespace crate {
namespace {

constexpr int64_t grain = 1 << 13;       // numbers below which a second thread does not pay
constexpr int64_t chunk_size = 1 << 14;  // of a sum: fixes the order of additions

struct AdamWFactors {
  float keep, beta1, new1, beta2, new2, step, root, eps, grad_scale;
};

CRATE_CLONES void adamw_numbers(float* p, const float* grad, float* m, float* v, const AdamWFactors& f, int64_t n) {
  const AdamWFactors o = f;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float g = o.grad_scale * grad[i];
    m[i] = o.beta1 * m[i] + o.new1 * g;
    v[i] = o.beta2 * v[i] + o.new2 * g * g;
    p[i] = o.keep * p[i] - o.step * m[i] / (std::sqrt(v[i]) * o.root + o.eps);
  }
}

struct LionFactors {
  float lr, beta1, new1, beta2, new2, keep, grad_scale;
};

CRATE_CLONES void lion_numbers(float* p, const float* grad, float* m, const LionFactors& f, int64_t n) {
  const LionFactors o = f;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float g = o.grad_scale * grad[i], c = o.beta1 * m[i] + o.new1 * g;
    const float up = c < 0 ? o.lr : 0.0F, down = c > 0 ? o.lr : 0.0F;
    p[i] = o.keep * p[i] + up - down;
    m[i] = o.beta2 * m[i] + o.new2 * g;
  }
}

CRATE_CLONES void average_numbers(float* average, const float* value, float decay, float fresh, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) average[i] = decay * average[i] + fresh * value[i];
}

CRATE_CLONES double squares(const float* x, int64_t n) {
  double s[vec::lanes] = {};
  int64_t i = 0;
  for (; i + vec::lanes <= n; i += vec::lanes) {
#pragma omp simd
    for (int l = 0; l < vec::lanes; ++l) s[l] += double{x[i + l]} * double{x[i + l]};
  }
  for (int l = 0; i < n; ++i, ++l) s[l] += double{x[i]} * double{x[i]};
  double sum = 0;
  for (const double lane : s) sum += lane;
  return sum;
}

CRATE_CLONES void scale_numbers(float* x, float factor, int64_t n) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) x[i] *= factor;
}

void adamw_ref(const AdamWState& s, const AdamW& o) {
  visit_ref(s.value.dtype, [&](auto zero) { ref::adamw<decltype(zero)>(s, o); });
}

void adamw_cpu(const AdamWState& s, const AdamW& o) {
  const double correction1 = 1 - std::pow(o.beta1, static_cast<double>(o.step));
  const double correction2 = 1 - std::pow(o.beta2, static_cast<double>(o.step));
  const auto f32 = [](double x) { return static_cast<float>(x); };
  const AdamWFactors f{f32(1 - o.lr * o.decay),
                       f32(o.beta1),
                       f32(1 - o.beta1),
                       f32(o.beta2),
                       f32(1 - o.beta2),
                       f32(o.lr / correction1),
                       f32(1 / std::sqrt(correction2)),
                       f32(o.eps),
                       f32(o.grad_scale)};
  float *p = s.value.as<float>(), *m = s.m.as<float>(), *v = s.v.as<float>();
  const float* grad = s.grad.as<float>();
  parallel_for(s.value.numel(), grain,
               [=, &f](int64_t lo, int64_t hi) { adamw_numbers(p + lo, grad + lo, m + lo, v + lo, f, hi - lo); });
}

void lion_ref(const LionState& s, const Lion& o) {
  visit_ref(s.value.dtype, [&](auto zero) { ref::lion<decltype(zero)>(s, o); });
}

void lion_cpu(const LionState& s, const Lion& o) {
  const auto f32 = [](double x) { return static_cast<float>(x); };
  const LionFactors f{f32(o.lr),        f32(o.beta1),     f32(1 - o.beta1),
                      f32(o.beta2),     f32(1 - o.beta2), f32(1 - o.lr * o.decay),
                      f32(o.grad_scale)};
  float *p = s.value.as<float>(), *m = s.m.as<float>();
  const float* grad = s.grad.as<float>();
  parallel_for(s.value.numel(), grain,
               [=, &f](int64_t lo, int64_t hi) { lion_numbers(p + lo, grad + lo, m + lo, f, hi - lo); });
}

void average_ref(const AverageState& s, double decay) {
  visit_ref(s.value.dtype, [&](auto zero) { ref::average<decltype(zero)>(s, decay); });
}

void average_cpu(const AverageState& s, double decay) {
  float* average = s.average.as<float>();
  const float *value = s.value.as<float>(), keep = static_cast<float>(decay), fresh = static_cast<float>(1 - decay);
  parallel_for(s.value.numel(), grain,
               [=](int64_t lo, int64_t hi) { average_numbers(average + lo, value + lo, keep, fresh, hi - lo); });
}

constexpr Kernels<void(const AdamWState&, const AdamW&)> adamw{"adamw", adamw_ref, adamw_cpu};
constexpr Kernels<void(const LionState&, const Lion&)> lion{"lion", lion_ref, lion_cpu};
constexpr Kernels<void(const AverageState&, double)> average{"average", average_ref, average_cpu};

void check(const char* op, const Tensor& value, const Tensor& other, const char* name) {
  require(other.shape == value.shape && other.dtype == value.dtype, "[{}] {} must be {} {}, came {} {}", op, name,
          name_of(value.dtype), value.shape.str(), name_of(other.dtype), other.shape.str());
}

}  // namespace

void adamw_step(Device& device, const AdamWState& state, const AdamW& options) {
  check("adamw", state.value, state.grad, "grad");
  check("adamw", state.value, state.m, "m");
  check("adamw", state.value, state.v, "v");
  require(options.step >= 1, "[adamw] step counts from 1, came {}", options.step);
  adamw.on(device.kind())(state, options);
}

void lion_step(Device& device, const LionState& state, const Lion& options) {
  check("lion", state.value, state.grad, "grad");
  check("lion", state.value, state.m, "m");
  lion.on(device.kind())(state, options);
}

void average_step(Device& device, const AverageState& state, double decay) {
  check("average", state.value, state.average, "average");
  average.on(device.kind())(state, decay);
}

double sum_of_squares(Device&, const Tensor& x) {
  const int64_t n = x.numel();
  if (x.dtype != Dtype::f32) {
    double sum = 0;
    visit_ref(x.dtype, [&](auto zero) {
      for (int64_t i = 0; i < n; ++i) sum += std::norm(x.as<decltype(zero)>()[i]);
    });
    return sum;
  }
  std::vector<double> partial(static_cast<std::size_t>((n + chunk_size - 1) / chunk_size));
  const float* numbers = x.as<float>();
  parallel_chunks(n, chunk_size, [&](int64_t chunk, int64_t lo, int64_t hi) {
    partial[static_cast<std::size_t>(chunk)] = squares(numbers + lo, hi - lo);
  });
  double sum = 0;
  for (const double part : partial) sum += part;
  return sum;
}

void scale(Device&, const Tensor& x, double factor) {
  if (x.dtype != Dtype::f32) {
    visit_ref(x.dtype, [&](auto zero) {
      for (int64_t i = 0; i < x.numel(); ++i) x.as<decltype(zero)>()[i] *= factor;
    });
    return;
  }
  float* numbers = x.as<float>();
  parallel_for(x.numel(), grain,
               [=](int64_t lo, int64_t hi) { scale_numbers(numbers + lo, static_cast<float>(factor), hi - lo); });
}

void set_zero(Device&, const Tensor& x) { std::fill_n(static_cast<uint8_t*>(x.data), x.bytes(), uint8_t{0}); }

double clip_factor(double norm, double max_norm) {
  return max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0;
}

}  // namespace crate
