// picture: what is drawn over images: heat maps, masks and colours of patches,
// and several pictures as one with labels.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "work/image/image.h"

namespace crate {

using Colour = std::array<uint8_t, 3>;

/// Black over violet and orange to pale yellow, rising in brightness; 0..1, cut
/// at the ends.
Colour heat(double value);
/// Colours for object 1, 2, .. that are told apart by colour-blind eyes too.
Colour object_colour(std::size_t object);

/// A grid of numbers at a place (0..1 from the top and the left of the
/// picture), linear between the centres of its cells.
double value_at(const double* grid, int64_t rows, int64_t columns, double y, double x);

/// The picture in grey, dimmed, and over it the grid as heat; 1 is the largest
/// value of the grid.
Image with_heat(const Image& picture, const double* grid, int64_t rows, int64_t columns);

/// Mask values 1, 2, .. (same size, one channel) as colours over the picture
/// with their outlines; 0 and 255 stay.
Image with_objects(const Image& picture, const Image& mask);

/// Pictures of one size in rows and columns with a line of text above each
/// column and before each row.
struct Sheet {
  std::vector<std::string> rows, columns;  // labels
  std::vector<Image> cells;                // row by row
};
Image sheet_of(const Sheet& sheet);

/// The nearest pixel; for masks and patches.
Image scaled_nearest(const Image& image, int height, int width);

}  // namespace crate
