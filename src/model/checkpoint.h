// checkpoint: a language model as a directory: config.json and model.safetensors (weights only, F32, the names of
// docs/formats.md).
#pragma once
#include <memory>
#include <string>

#include "model/directory.h"
#include "model/language_model.h"

namespace crate {

/// Adds config.json and model.safetensors to a directory being written.
void put_model(DirectoryWriter& directory, const LanguageModel& model);
/// The same with a directory of its own; `extra` files (name, text), e.g. tokenizer.json.
void save_model(const std::string& folder, const LanguageModel& model,
                const std::map<std::string, std::string>& extra = {});

/// Throws Error naming the file and the remedy when anything is missing, damaged or does not fit.
std::unique_ptr<LanguageModel> load_model(Device& device, const std::string& folder);
ModelConfig load_config(const std::string& folder);

/// Gives every parameter the values of the array of its name; names and shapes must match exactly.
void fill_parameters(LanguageModel& model, const ArrayMap& arrays, const std::string& where);

/// A tensor's numbers as F32 for a file; `buffer` keeps them alive when they had to be converted.
TensorToWrite as_f32(const std::string& name, const Tensor& t, std::vector<float>& buffer);
/// Numbers of a file into a tensor of the device's real dtype; sizes must agree.
void read_into(const Tensor& to, const Array& from, const std::string& where);

}  // namespace crate
