// nearest: which known word an unknown one was probably meant to be.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace crate {

/// The word of `known` with the fewest insertions, deletions and replacements of characters to `word` (Levenshtein);
/// the earlier one of equals. Empty when `known` is.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace crate
