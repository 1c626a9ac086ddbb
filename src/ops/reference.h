// reference: what the naive templates of the operators share. T is double or std::complex<double>.
#pragma once
#include <algorithm>

#include "run/run.h"

namespace crate::ref {

template <class T> T relu(const T& x) { return re(x) > 0 ? x : T{0}; }

/// What a frozen run holds at its value: the complex step does not reach it.
template <class T> T held(bool frozen, const T& x) { return frozen ? T{re(x)} : x; }

/// Address of a tensor that may be absent.
template <class T> T* maybe(const Tensor& t) { return t ? t.as<T>() : nullptr; }

/// Address of a gradient, ready for +=: zeroed unless its writer adds; null when nobody wants it.
template <class T> T* opened(const GradTo& g) {
  if (!g) return nullptr;
  T* to = g.to.as<T>();
  if (!g.add) std::fill_n(to, g.to.numel(), T{0});
  return to;
}

}  // namespace crate::ref
