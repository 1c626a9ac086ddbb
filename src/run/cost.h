// cost: what a node must do at least: floating-point operations, and bytes that must move between memory and the core.
#pragma once

namespace crate {

struct Cost {
  double flops = 0;  // a multiply-add counts two
  double bytes = 0;  // compulsory reads and writes, each tensor once

  Cost& operator+=(const Cost& o) {
    flops += o.flops;
    bytes += o.bytes;
    return *this;
  }
  friend Cost operator+(Cost a, const Cost& b) { return a += b; }
};

}  // namespace crate
