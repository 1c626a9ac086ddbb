// checkpoint: a model as a directory: config.json and model.safetensors (weights only, F32, the names of
// docs/formats.md).
#pragma once
#include <memory>
#include <string>

#include "model/directory.h"
#include "model/models.h"

namespace crate {

/// Adds config.json and model.safetensors to a directory being written.
void put_model(DirectoryWriter& directory, const Model& model);
/// A whole directory: these two and the `extra` files (name, text), e.g. tokenizer.json. What an earlier model left
/// there, its training state for instance, goes.
void save_model(const std::string& folder, const Model& model, const std::map<std::string, std::string>& extra = {});

/// Throws Error naming the file and the remedy when anything is missing, damaged or does not fit. May be called while a
/// training process writes there: it gives one of that process's generations.
std::unique_ptr<Model> load_model(Device& device, const std::string& folder);
// Throw also when the directory holds a model of another kind.
std::unique_ptr<LanguageModel> load_language_model(Device& device, const std::string& folder);
std::unique_ptr<VisionModel> load_vision_model(Device& device, const std::string& folder);
std::unique_ptr<MaeModel> load_mae_model(Device& device, const std::string& folder);
ModelConfig load_config(const std::string& folder);

/// Throws Error unless the arrays are exactly the parameters of such a model, by names and shapes.
void check_parameters(const ModelConfig& config, const ArrayMap& arrays, const std::string& where);
/// Gives every parameter the values of the array of its name, after that check.
void fill_parameters(Model& model, const ArrayMap& arrays, const std::string& where);

/// A tensor's numbers as F32 for a file; `buffer` keeps them alive when they had to be converted.
TensorToWrite as_f32(const std::string& name, const Tensor& t, std::vector<float>& buffer);
/// Numbers of a file into a tensor of the device's real dtype; sizes must agree.
void read_into(const Tensor& to, const Array& from, const std::string& where);

}  // namespace crate
