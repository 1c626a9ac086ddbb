// orders: what the simplest models of bytes make of a text, learned while they code it.
#pragma once
#include <string_view>

namespace crate {

/// Bits of `text` when the next byte is predicted from the `order` (0 to 2) bytes before it: eight decisions, each a
/// bit that learns (coder.h), a set for every context.
double adaptive_bits(std::string_view text, int order);

}  // namespace crate
