// score_rows: what attention's options do to the rows of one head, before the scores and after the sums.
// w_i are the n raw rows, p wide; the steps happen in this order, each only when asked for:
//   shift   x_i = w_i + c o w_(i-1)      c per channel, w_(-1) = 0, keys only
//   metric  x_i <- x_i M                 M (p, p)
//   norm    x_i <- factor x_i / sqrt(mean(x_i^2) + eps)                      RMS norm; the factor is the temperature
//   pairs   (x_a, x_b) <- (x_a r_a - x_b s_a, x_a s_a + x_b r_a)             keys only: a complex factor r + i s a pair
//   (a, a + p/2)
//   turn    (x_a, x_b) <- (x_a cos - x_b sin, x_a sin + x_b cos) for the pairs (a, a + p/2)     rotary positions
//   (RoFormer,
//           Su et al. 2021, half-split pairs), angle = position * base^(-2a/p)
// and for exclusive attention (XSA), with y_i the head's output:
//   z_i = y_i - a_i w_i      a_i = y_i.w_i / (|w_i|^2 + 1e-12): a row w_i = 0 leaves y_i as it is
#pragma once
#include "ops/head_rows.h"

namespace crate {

inline constexpr double exclude_eps = 1e-12;

/// One head's raw rows and what is asked for.
template <class T> struct ScoreRows {
  std::ptrdiff_t n = 0, p = 0;
  HeadRows<T> w;
  bool norm = false;
  double eps = 1e-6;
  T factor = T{1};            ///< read only with norm
  const T* shift = nullptr;   ///< (p) or none
  const T* metric = nullptr;  ///< (p, p) or none
  const T* pairs = nullptr;   ///< (p): the p/2 real parts, then the p/2 imaginary ones; or none
  const T* turns = nullptr;   ///< (n, p): p/2 cosines, then p/2 sines, of each row's position; or none
};

/// Where the gradients of what is learned of the steps are added: (p), (p, p), (p) and one number.
template <class T> struct ScoreRowGrads {
  T* shift = nullptr;
  T* metric = nullptr;
  T* pairs = nullptr;
  T* factor = nullptr;
};

/// Rows that a kernel takes at once, at most; numbers of `room` below: a matrix, and rows on their way at three places.
constexpr std::ptrdiff_t score_rows_at_once = 8;
constexpr std::ptrdiff_t score_rows_room(std::ptrdiff_t p) { return p * (p + 3 * score_rows_at_once); }

/// Loops over one head's rows in T. Dense rows lie p apart.
template <class T> struct ScoreRowKernels {
  /// rows (n, p) = the raw rows after the steps above.
  void (*make)(const ScoreRows<T>& s, T* rows, T* room);
  /// With d_rows the gradient of `rows`: adds to d_w (n, p), and to `d` where s has these steps.
  void (*unmake)(const ScoreRows<T>& s, const T* d_rows, T* d_w, const ScoreRowGrads<T>& d, T* room);
  /// y -> z in place; along (n) keeps a_i.
  void (*exclude)(std::ptrdiff_t n, std::ptrdiff_t p, HeadRows<T> w, HeadOut<T> y, T* along);
  /// From z, a and d_z: y and d_y (n, p); adds the part of d_w (n, p) that does not pass through y.
  void (*unexclude)(std::ptrdiff_t n, std::ptrdiff_t p, HeadRows<T> w, HeadRows<T> z, const T* along, HeadRows<T> d_z,
                    T* y, T* d_y, T* d_w);
  /// Dense rows to the caller's, set or added.
  void (*put)(std::ptrdiff_t n, std::ptrdiff_t p, const T* from, HeadOut<T> to, bool add);
};

}  // namespace crate
