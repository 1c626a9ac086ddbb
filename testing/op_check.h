// op_check: one declaration of an operator case, read as test, gradient check and benchmark.
//
//   values     cpu (f32) against ref (f64), relative norm
//   gradients  ref (f64) against the complex step on ref (c128): (f(x + ih) - f(x - ih)) / 2ih has no cancellation, so
//              1e-12 is reached; then cpu against ref
//   frozen     the frozen rule (run/run.h) against the complex step of a forward whose patterns, scales and gates are
//   held;
//              and it is complete: cotangent . y = sum of gradient . input + what the constants leave
//   bf16       cpu with bf16 products (f32 else) against ref, values and gradients, for operators with products of
//   their own twice      the backward runs into memory filled with NaN (set), then again (add): the sum must have
//   doubled fences     every block of memory is guarded: a kernel that writes outside fails
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "run/run.h"

namespace crate {

/// One input: normal numbers times `scale` plus `offset`, or tokens in [0, below) when below > 0.
struct OpInput {
  std::string name;
  Shape shape;
  double scale = 1.0;
  double offset = 0.0;
  bool grad = true;
  int64_t below = 0;
};

struct OpCase {
  std::string op;    // "mssa"
  std::string name;  // "causal_qk_norm_prime"
  std::vector<OpInput> inputs;
  /// Applies the operator to the inputs in the order given.
  std::function<Tensor(Run&, std::span<const Tensor>)> build;
  double tolerance = 2e-5;    // of cpu against ref, relative norm a tensor; see docs/numerics.md
  double bf16_tolerance = 0;  // of cpu with bf16 products against ref, where they change what the operator does itself
  bool is_loss = false;       // the output is a scalar whose gradient is 1 (a loss computes its gradient forwards)
  bool has_frozen_rule = true;  // false: never between an input and what is explained, as losses and objectives
  bool bench_only = false;      // a shape for timing, too large for the reference
};

/// Every case of every operator.
std::vector<OpCase> all_op_cases();

struct CheckResult {
  bool ok = true;
  std::string detail;  // the first failure, or the worst errors
};

CheckResult check_values(const OpCase& c);
CheckResult check_gradients(const OpCase& c);
CheckResult check_frozen(const OpCase& c);
CheckResult check_bf16(const OpCase& c);

/// Does the operator run there? False when the device or its kernels are not in this build.
bool runs_on(const OpCase& c, DeviceKind kind);

struct BenchResult {
  double forward_ms = 0, backward_ms = 0;
  Cost forward, backward;
};

/// A case with its inputs on a device, to be timed as often as one likes.
class OpTimer {
 public:
  explicit OpTimer(OpCase c, const DeviceOptions& device = {});
  ~OpTimer();
  OpTimer(const OpTimer&) = delete;
  OpTimer& operator=(const OpTimer&) = delete;
  /// One forward that records, and its backward unless that is left out.
  BenchResult once(bool backward = true);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Medians over `repeats`, after a warm-up.
BenchResult bench_op(const OpCase& c, int repeats, const DeviceOptions& device = {});

}  // namespace crate
