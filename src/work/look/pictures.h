// pictures: what was found, drawn over the picture it was found in.
#pragma once
#include "work/look/components.h"
#include "work/look/view.h"

namespace crate {

/// A row a layer: the picture itself, then a map a head; each map's brightest place is its largest value.
Image attention_picture(const ModelInput& input, const AttentionMaps& maps);

/// The pictures above, the colours of their patches below; what is not foreground is black.
Image components_picture(const std::vector<ModelInput>& inputs, const std::vector<PatchColours>& colours,
                         const std::vector<std::string>& names);

}  // namespace crate
