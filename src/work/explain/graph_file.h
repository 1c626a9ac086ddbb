// graph_file: an explanation read back from a file that anybody may have written. Sizes and depth are limited, every
// field that is used has its type checked, and what is wrong is told by its place in the document.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "work/explain/graph.h"
#include "work/image/image.h"
#include "work/steer/intervention.h"

namespace crate {

struct GraphFile {
  nlohmann::json document;
  std::string weights_hash, config_hash, device;
  Family family = Family::crate_lm;
  std::vector<int32_t> tokens;  // the input, when it is a text
  Image image;                  // likewise, as the model saw it
  std::string image_name;
  Target target;
  std::string target_unit;  // the target when it is a unit, by name
  std::vector<Intervention> changes;
  GraphOptions options;
};

/// An input image as it stands in the document, and back. Throws Error.
std::string text_of_image(const Image& image);
Image image_of_text(std::string_view text, const std::string& where);

/// Throws Error when the text is no explanation; `where` names it.
GraphFile parse_graph_file(std::string_view text, const std::string& where);

}  // namespace crate
