#include "work/draw/picture.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "work/draw/letters.h"

namespace crate {
namespace {

uint8_t byte_of(double value) { return static_cast<uint8_t>(std::lround(std::clamp(value, 0.0, 255.0))); }

Colour mix(const Colour& a, const Colour& b, double part) {
  Colour out;
  for (std::size_t i = 0; i < 3; ++i) out[i] = byte_of(a[i] + part * (static_cast<double>(b[i]) - a[i]));
  return out;
}

double grey_of(const Image& picture, int y, int x) {
  const uint8_t* p = picture.at(y, x);
  return picture.channels == 1 ? p[0] : 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
}

void paste(Image& onto, const Image& cell, int top, int left) {
  for (int y = 0; y < cell.height; ++y) {
    for (int x = 0; x < cell.width; ++x) {
      for (int c = 0; c < 3; ++c) onto.at(top + y, left + x)[c] = cell.at(y, x)[cell.channels == 3 ? c : 0];
    }
  }
}

bool at_edge(const Image& mask, int y, int x) {
  const uint8_t here = *mask.at(y, x);
  for (const auto& [dy, dx] : {std::pair{-1, 0}, std::pair{1, 0}, std::pair{0, -1}, std::pair{0, 1}}) {
    const int ny = y + dy, nx = x + dx;
    if (ny < 0 || nx < 0 || ny >= mask.height || nx >= mask.width || *mask.at(ny, nx) != here) return true;
  }
  return false;
}

}  // namespace

Colour heat(double value) {
  // Brightness (0.2 R + 0.7 G + 0.1 B) rises evenly from stop to stop.
  constexpr Colour stops[] = {{0, 0, 4}, {66, 10, 104}, {147, 38, 103}, {221, 81, 58}, {252, 165, 10}, {252, 255, 164}};
  const double place = std::clamp(value, 0.0, 1.0) * (std::size(stops) - 1);
  const auto i = std::min<std::size_t>(static_cast<std::size_t>(place), std::size(stops) - 2);
  return mix(stops[i], stops[i + 1], place - static_cast<double>(i));
}

Colour object_colour(std::size_t object) {
  constexpr Colour colours[] = {{230, 159, 0},   {86, 180, 233}, {0, 158, 115},
                                {204, 121, 167}, {240, 228, 66}, {213, 94, 0}};
  return colours[(object + std::size(colours) - 1) % std::size(colours)];
}

double value_at(const double* grid, int64_t rows, int64_t columns, double y, double x) {
  const double row = std::clamp(y * static_cast<double>(rows) - 0.5, 0.0, static_cast<double>(rows - 1));
  const double column = std::clamp(x * static_cast<double>(columns) - 0.5, 0.0, static_cast<double>(columns - 1));
  const auto i = static_cast<int64_t>(row), j = static_cast<int64_t>(column);
  const int64_t below = std::min(i + 1, rows - 1), right = std::min(j + 1, columns - 1);
  const double dy = row - static_cast<double>(i), dx = column - static_cast<double>(j);
  return (1 - dy) * ((1 - dx) * grid[i * columns + j] + dx * grid[i * columns + right]) +
         dy * ((1 - dx) * grid[below * columns + j] + dx * grid[below * columns + right]);
}

Image with_heat(const Image& picture, const double* grid, int64_t rows, int64_t columns) {
  const double largest = *std::max_element(grid, grid + rows * columns);
  Image out(picture.height, picture.width, 3);
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const double value = value_at(grid, rows, columns, (y + 0.5) / out.height, (x + 0.5) / out.width);
      const uint8_t grey = byte_of(0.7 * grey_of(picture, y, x));
      const Colour colour = mix({grey, grey, grey}, heat(largest > 0 ? value / largest : 0), 0.65);
      std::copy(colour.begin(), colour.end(), out.at(y, x));
    }
  }
  return out;
}

Image with_objects(const Image& picture, const Image& mask) {
  require(mask.channels == 1 && mask.height == picture.height && mask.width == picture.width,
          "[picture] a mask of {} x {} does not fit an image of {} x {}", mask.height, mask.width, picture.height,
          picture.width);
  Image out(picture.height, picture.width, 3);
  paste(out, picture, 0, 0);
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const uint8_t object = *mask.at(y, x);
      if (object == 0 || object == 255) continue;
      const uint8_t* p = out.at(y, x);
      const Colour colour = mix({p[0], p[1], p[2]}, object_colour(object), at_edge(mask, y, x) ? 1 : 0.5);
      std::copy(colour.begin(), colour.end(), out.at(y, x));
    }
  }
  return out;
}

Image sheet_of(const Sheet& sheet) {
  const std::size_t rows = sheet.rows.size(), columns = sheet.columns.size();
  require(rows * columns == sheet.cells.size() && !sheet.cells.empty(), "[picture] {} cells do not fill {} rows of {}",
          sheet.cells.size(), rows, columns);
  constexpr int gap = 4;
  const int height = sheet.cells[0].height, width = sheet.cells[0].width;
  // Letters twice as large when every column has room for its label.
  std::size_t longest = 0, before = 0;
  for (const std::string& label : sheet.columns) longest = std::max(longest, label.size());
  for (const std::string& label : sheet.rows) before = std::max(before, label.size());
  const int scale = static_cast<int>(longest) * letter_width * 2 <= width ? 2 : 1;
  const int top = letter_height * scale + 2 * gap;
  const int left = before == 0 ? gap : static_cast<int>(before) * letter_width * scale + 2 * gap;
  Image out(top + static_cast<int>(rows) * (height + gap), left + static_cast<int>(columns) * (width + gap), 3);
  std::fill(out.pixels.begin(), out.pixels.end(), uint8_t{255});
  for (std::size_t c = 0; c < columns; ++c)
    write_text(out, gap, left + static_cast<int>(c) * (width + gap), sheet.columns[c], {0, 0, 0}, scale);
  for (std::size_t r = 0; r < rows; ++r) {
    const int y = top + static_cast<int>(r) * (height + gap);
    write_text(out, y + (height - letter_height * scale) / 2, gap, sheet.rows[r], {0, 0, 0}, scale);
    for (std::size_t c = 0; c < columns; ++c) {
      const Image& cell = sheet.cells[r * columns + c];
      require(cell.height == height && cell.width == width, "[picture] the cells of a sheet must have one size");
      paste(out, cell, y, left + static_cast<int>(c) * (width + gap));
    }
  }
  return out;
}

Image scaled_nearest(const Image& image, int height, int width) {
  Image out(height, width, image.channels);
  for (int y = 0; y < height; ++y) {
    const int from_y = static_cast<int>(static_cast<int64_t>(2 * y + 1) * image.height / (2 * height));
    for (int x = 0; x < width; ++x) {
      const int from_x = static_cast<int>(static_cast<int64_t>(2 * x + 1) * image.width / (2 * width));
      std::copy_n(image.at(from_y, from_x), image.channels, out.at(y, x));
    }
  }
  return out;
}

}  // namespace crate
