// stream_coder: bytes to bits and back under an integer model, in independent streams.
//
// A stream is predicted by windows of a separator, then its bytes. A byte is predicted in the first window that holds
// the token before it; when a window is full (IntegerModel::span), the next begins with its last tokens (overlap). The
// encoder runs many rows at a time, the decoder one token at a time for all its streams together; both compute the
// same integers.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "work/compress/integer_model.h"

namespace crate {

/// The token before byte i: the separator, or byte i - 1. A model of 256 tokens has no separator; it begins with 0.
int32_t token_before(std::string_view bytes, int64_t i, int64_t vocab);

struct StreamCoder {
  const IntegerModel& model;
  const IntegerKernels& kernels;
  /// Told how many bytes are done since the last call; from any thread.
  std::function<void(int64_t)> progress = {};

  /// Cuts `bytes` into `streams` nearly equal pieces and codes each.
  std::vector<std::string> encode(std::string_view bytes, int64_t streams) const;
  /// What it costs, in bits, that all streams but the first begin without context: the bytes of their first half window
  /// as they are coded, less the same bytes behind the half window before them.
  double cost_of_cutting(std::string_view bytes, int64_t streams) const;
  /// `size` bytes from what encode gave. Damaged codes give other bytes; the caller's checksum tells.
  std::string decode(const std::vector<std::string_view>& codes, int64_t size) const;
};

}  // namespace crate
