#include "work/look/pictures.h"

#include <algorithm>
#include <cmath>

#include "work/draw/picture.h"
#include "work/image/resample.h"

namespace crate {
namespace {

// Small pictures are shown larger, by a whole factor, at least so large.
constexpr int shown_side = 112;

Image shown(const Image& image) {
  const int side = std::min(image.height, image.width), factor = (shown_side + side - 1) / side;
  return scaled_nearest(with_channels(image, 3), factor * image.height, factor * image.width);
}

// Within the cell's size, its proportions kept, white around it.
Image fitted(const Image& image, int height, int width) {
  const double scale = std::min(static_cast<double>(height) / image.height, static_cast<double>(width) / image.width);
  const Image small = scaled_nearest(image, std::max(1, static_cast<int>(scale * image.height)),
                                     std::max(1, static_cast<int>(scale * image.width)));
  Image out(height, width, 3);
  std::fill(out.pixels.begin(), out.pixels.end(), uint8_t{255});
  const int top = (height - small.height) / 2, left = (width - small.width) / 2;
  for (int y = 0; y < small.height; ++y)
    std::copy_n(small.at(y, 0), static_cast<std::size_t>(small.width) * 3, out.at(top + y, left));
  return out;
}

Image colour_image(const PatchColours& colours, int64_t rows, int64_t columns) {
  Image out(static_cast<int>(rows), static_cast<int>(columns), 3);
  for (std::size_t i = 0; i < colours.rgb.size(); ++i)
    for (std::size_t c = 0; c < 3; ++c)
      out.pixels[3 * i + c] = static_cast<uint8_t>(std::lround(255 * colours.rgb[i][c]));
  return out;
}

}  // namespace

Image attention_picture(const ModelInput& input, const AttentionMaps& maps) {
  const Image picture = shown(input.image);
  Sheet sheet;
  sheet.columns.emplace_back("image");
  for (int64_t h = 0; h < maps.heads; ++h) sheet.columns.push_back(fmt::format("head {}", h));
  for (int64_t l = 0; l < maps.layers; ++l) {
    sheet.rows.push_back(fmt::format("layer {}", l));
    sheet.cells.push_back(picture);
    for (int64_t h = 0; h < maps.heads; ++h)
      sheet.cells.push_back(with_heat(picture, maps.map(l, h), maps.rows, maps.columns));
  }
  return sheet_of(sheet);
}

Image components_picture(const std::vector<ModelInput>& inputs, const std::vector<PatchColours>& colours,
                         const std::vector<std::string>& names) {
  int height = 0, width = 0;
  for (const ModelInput& input : inputs) {
    const Image picture = shown(input.image);
    height = std::max(height, picture.height);
    width = std::max(width, picture.width);
  }
  Sheet sheet;
  sheet.rows = {"", ""};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    sheet.columns.push_back(names[i].substr(0, static_cast<std::size_t>(width / 6)));
    sheet.cells.push_back(fitted(shown(inputs[i].image), height, width));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i)
    sheet.cells.push_back(fitted(scaled_nearest(colour_image(colours[i], inputs[i].rows, inputs[i].columns),
                                                inputs[i].image.height, inputs[i].image.width),
                                 height, width));
  return sheet_of(sheet);
}

}  // namespace crate
