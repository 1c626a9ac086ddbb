// sparsity: a tap that counts how many codes are not zero, a layer.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "run/tap.h"

namespace crate {

class SparsityTap final : public Tap {
 public:
  explicit SparsityTap(int64_t layers)
      : nonzero_(static_cast<std::size_t>(layers)), total_(static_cast<std::size_t>(layers)) {}
  bool wants(std::string_view site) override;
  void see(std::string_view site, const Tensor& value) override;
  /// Fraction of non-zero codes a layer; empty when nothing was seen.
  std::vector<double> fractions() const;
  /// Mean over the layers; 0 when nothing was seen.
  double mean() const;

 private:
  std::vector<double> nonzero_, total_;
};

}  // namespace crate
