#include "ops/frozen.h"

#include "base/parallel.h"
#include "tensor/gemm.h"

namespace crate::frozen {
namespace {

/// f(T{}) for the scalar of a tensor.
template <class F> void visit_real(Dtype dtype, F&& f) {
  if (dtype == Dtype::f32) return f(float{});
  visit_ref(dtype, f);
}

constexpr int64_t grain = 1 << 14;

}  // namespace

std::vector<double> row_dots(const Tensor& d_y, const Tensor& c, double factor) {
  const int64_t n = d_y.cols(), each = c.numel() > 1;
  std::vector<double> rows(static_cast<std::size_t>(d_y.rows()));
  visit_real(d_y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T *g = d_y.as<T>(), *by = c.as<T>();
    parallel_for(d_y.rows(), 16, [&](int64_t lo, int64_t hi) {
      for (int64_t i = lo; i < hi; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < n; ++j) sum += double{re(g[i * n + j])} * double{re(by[j * each])};
        rows[static_cast<std::size_t>(i)] = factor * sum;
      }
    });
  });
  return rows;
}

double number(const Tensor& t) {
  double value = 0;
  visit_real(t.dtype, [&](auto zero) { value = re(*t.as<decltype(zero)>()); });
  return value;
}

void mask(const Tensor& d_z, const Tensor& z, const Tensor& g) {
  visit_real(z.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T *from = d_z.as<T>(), *code = z.as<T>();
    T* to = g.as<T>();
    parallel_for(z.numel(), grain, [=](int64_t lo, int64_t hi) {
      for (int64_t i = lo; i < hi; ++i) to[i] = re(code[i]) > 0 ? from[i] : T{0};
    });
  });
}

void heed(Run& run, const Site& site, const Edit& edit, const Tensor& d_code, const Tensor& g) {
  if (!edit) return;
  const int64_t n = g.cols();
  std::vector<double> rows(static_cast<std::size_t>(g.rows()));
  visit_real(g.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T *slope = edit.slope.as<T>(), *constant = edit.constant.as<T>(), *d = d_code.as<T>();
    T* to = g.as<T>();
    for (int64_t i = 0; i < g.numel(); ++i) {
      to[i] *= slope[i];
      rows[static_cast<std::size_t>(i / n)] += double{re(d[i])} * double{re(constant[i])};
    }
  });
  run.leave_constant({}, site.at("changed"), std::move(rows), true);
}

void grow(const GradTo& to, double factor, const Tensor& by) {
  if (!to) return;
  visit_real(by.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T* from = by.as<T>();
    T* sum = to.to.as<T>();
    const T scale = static_cast<T>(factor);
    const bool add = to.add;
    parallel_for(by.numel(), grain, [=](int64_t lo, int64_t hi) {
      for (int64_t i = lo; i < hi; ++i) sum[i] = (add ? sum[i] : T{0}) + scale * from[i];
    });
  });
}

Tensor read_through(Run& run, const Tensor& code, const Tensor& d_y, const Tensor& weight, bool transposed) {
  if (d_y) {
    const GradTo to = run.grad_to(code);
    gemm(run.device(), {.a = d_y, .b = weight, .c = to.to, .trans_b = transposed, .add = to.add, .b_is_weight = true});
  }
  return run.grad_of(code);
}

}  // namespace crate::frozen
