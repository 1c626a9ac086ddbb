// paid: crate explain --bits-of FILE: which parts of a model paid for a byte of a file.
#pragma once
#include <cstdint>
#include <string>

#include "tensor/device.h"

namespace crate::cli {

struct PaidOptions {
  std::string model, file;
  int64_t at = -1;  // of the byte; -1: the last
  int64_t rows = 10;
  bool json = false;
};
void explain_bits(Device& device, const PaidOptions& options);

}  // namespace crate::cli
