// import: models from and to the files of the authors' code: safetensors and PyTorch checkpoints (.pth, .pt, .pth.tar)
// under their names, and reference files (tensors under "param/", hyper-parameters in the metadata).
//
// Hyper-parameters are spelled as the authors do:
//   n_embd n_head n_layer block_size vocab_size overcomplete_ratio bias   eta lambda ln_eps dropout
// All of the first row but n_head can be read from the shapes; when given, they must agree with them. eta and lambda
// are 0.1, ln_eps 1e-5 and dropout 0 unless given; eta and lambda may be lists, one number a layer.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/language_model.h"

namespace crate {

/// Name to value, the value as JSON: {"n_head", "12"}.
using HyperParameters = std::map<std::string, std::string>;

/// From items "name=value" and names of files that hold a JSON object; later items win. Throws Error.
HyperParameters read_hyper_parameters(const std::vector<std::string>& items);

struct ImportedModel {
  std::unique_ptr<LanguageModel> model;
  std::vector<std::string> notes;  // what was skipped or ignored, a line each
};

/// `given` wins over what the file itself says. Tied heads are checked and dropped, constant masks skipped. Throws
/// Error naming the file when it belongs to another family, when tensors are missing, left over or of another shape
/// (all of them listed), or when a hyper-parameter is missing, unknown or does not agree with the shapes.
ImportedModel import_model(Device& device, const std::string& path, Family family, const HyperParameters& given = {});

/// The hyper-parameters of a model in the authors' spelling.
HyperParameters hyper_parameters(const ModelConfig& config);

/// Writes a state dict that the authors' code loads: PyTorch when the name ends in .pth, .pt or .pth.tar, else safetensors with
/// family and config as metadata. Throws Error when the model has something that their code cannot express.
void export_model(const LanguageModel& model, const std::string& path);

}  // namespace crate
