// official: what a file under the authors' names tells about the shape of a model: inside import and export.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "model/import.h"

namespace crate {

// Do these families' programs have a hyper-parameter of this name?
bool is_text_setting(std::string_view key);
bool is_image_setting(std::string_view key);
bool is_official_setting(std::string_view key);  // any of them

// The configuration of a source whose tensors already have our names, but their official layouts. Throw Error.
ModelConfig text_config(const OfficialModel& source, Family family);
ModelConfig image_config(const OfficialModel& source, Family family);

// Their hyper-parameters, and what their code lacks of ours.
OfficialConfig official_text_config(const ModelConfig& config);
OfficialConfig official_image_config(const ModelConfig& config);

/// The tensor of ours with that many dimensions, or an Error that names it as the authors do.
const Array& tensor_of(const OfficialModel& source, Family family, const std::string& ours, std::size_t rank);
int64_t count_layers(const OfficialModel& source, std::string_view prefix = "blocks.");
/// Throws Error unless the value given for `key` is what the shapes say, as JSON text.
void must_agree(const OfficialModel& source, const std::string& key, const std::string& shapes_tell);
/// The first few names, joined.
std::string listed(const std::vector<std::string>& names);
/// {0.1} as a number, several as a list.
std::string one_or_all(const std::vector<double>& values);

}  // namespace crate
