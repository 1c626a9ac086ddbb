#include "cli/trace.h"

#include <cstdio>

namespace crate::cli {
namespace {

double rate(double amount, double ms) { return ms > 0 ? 1e-6 * amount / ms : 0; }

void print_line(const std::string& op, const std::string& shape, const TraceLine& t) {
  fmt::print(stderr, "{:<14} {:<20} {:>9.3f} {:>9.4f} {:>9.4f} {:>8.1f} {:>8.1f} {:>9.3f} {:>8.1f}\n", op, shape,
             t.forward_ms, 1e-9 * t.forward.flops, 1e-9 * t.forward.bytes, rate(t.forward.flops, t.forward_ms),
             rate(t.forward.bytes, t.forward_ms), t.backward_ms, rate(t.backward.flops, t.backward_ms));
}

}  // namespace

void print_trace(const Run& run) {
  fmt::print(stderr, "{:<14} {:<20} {:>9} {:>9} {:>9} {:>8} {:>8} {:>9} {:>8}\n", "operator", "shape", "ms", "GFLOP",
             "GB", "GFLOP/s", "GB/s", "back ms", "GFLOP/s");
  TraceLine total;
  for (const TraceLine& t : run.trace()) {
    print_line(t.op, t.shape, t);
    total.forward += t.forward;
    total.backward += t.backward;
    total.forward_ms += t.forward_ms;
    total.backward_ms += t.backward_ms;
  }
  print_line("total", "", total);
}

}  // namespace crate::cli
