// view: a model of images looked at through one picture: what the picture becomes for it, and what its layers say of
// every patch. A picture keeps its proportions; its short side is scaled to the size asked for, both sides to multiples
// of the patch, and the model resamples its positions to the grid that comes out.
#pragma once
#include <string>

#include "model/models.h"
#include "work/image/image.h"
#include "work/look/ncut.h"

namespace crate {

struct ModelInput {
  Image image;  // as scaled for the model
  int64_t rows = 0, columns = 0;
  std::vector<float> numbers;  // (channels, height, width), normalised as the model was trained
};

/// size: of the short side in pixels; 0: that of the model's training images. Throws Error when the model does not read
/// images, or a size below one patch is asked for.
ModelInput input_for(const ModelConfig& config, const Image& picture, int64_t size);

/// Layer to look at by default: the last but one, as the papers do.
int64_t usual_layer(const ModelConfig& config);

/// The tokens' shared projections U z of all heads side by side (mssa.coords), the twins' keys instead; without the
/// class token. Throws Error when there is no such layer.
PatchFeatures projections_of(Model& model, const ModelInput& input, int64_t layer);

/// How much the class token attends to every patch.
struct AttentionMaps {
  int64_t layers = 0, heads = 0, rows = 0, columns = 0;
  std::vector<double> values;  // (layers, heads, rows, columns); what the class token keeps to itself is left out
  bool of_class_token = true;  // false: the model has none, and the values are means over all queries
  const double* map(int64_t layer, int64_t head) const { return &values[(layer * heads + head) * rows * columns]; }
};
AttentionMaps attention_of(Model& model, const ModelInput& input);

}  // namespace crate
