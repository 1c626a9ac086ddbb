// letters: text on pixels: digits, capitals and a few signs in boxes of 5 x 7;
// small letters are drawn as capitals, other characters as a gap.
#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "work/image/image.h"

namespace crate {

constexpr int letter_width = 6,
              letter_height = 8;  // of a box with the gap to the next

/// Draws from the top left corner; what falls outside the picture is left out.
/// `scale`: pixels a dot.
void write_text(Image& picture, int top, int left, const std::string& text, std::array<uint8_t, 3> colour,
                int scale = 1);

}  // namespace crate
