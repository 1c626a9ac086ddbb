// import: models from and to the files of the authors' code: safetensors and PyTorch checkpoints (.pth, .pt, .pth.tar)
// under their names, and reference files (tensors under "param/", hyper-parameters in the metadata).
//
// Hyper-parameters are spelled as the authors do:
//   text    n_embd n_head n_layer block_size vocab_size overcomplete_ratio bias   eta lambda ln_eps dropout
//   images  dim heads dim_head depth image_size patch_size channels num_classes overcomplete_ratio mlp_ratio qkv_bias
//           pool   eta lambda ln_eps head_ln_eps dropout
// What can be read from the shapes must agree with them when given; of heads and dim_head one must be given (n_head for
// text). The rest is what the family's authors chose unless given; eta and lambda may be lists, one number a layer.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/files/array.h"
#include "model/models.h"

namespace crate {

/// Hyper-parameters in the authors' spelling, the values as JSON text: {"n_head", "12"}.
using OfficialConfig = std::map<std::string, std::string>;

/// A source file, opened: tensors under official names, and what it says about the model.
struct OfficialModel {
  std::string path;
  ArrayMap tensors;
  OfficialConfig config;           // callers may add to it, or overwrite
  std::string family;              // empty when the file names none that is known here
  std::vector<std::string> notes;  // what was skipped or ignored, a line each
};

/// Drops wrappers' prefixes, inputs and results of reference files, and constant attention masks. Throws Error naming
/// the file.
OfficialModel read_official(const std::string& path);

/// Throws Error naming the file when tensors are missing, left over or of another shape (all of them listed), or when a
/// hyper-parameter is missing, unknown or does not agree with the shapes. A head that differs from the token embedding
/// is imported untied.
std::unique_ptr<Model> import_model(Device& device, Family family, OfficialModel source);

/// The hyper-parameters of a model in the authors' spelling.
OfficialConfig official_config(const ModelConfig& config);

/// Writes a state dict that the authors' code loads: PyTorch when the name ends in .pth, .pt or .pth.tar, else
/// safetensors with family and config as metadata. Throws Error when the model has something that their code lacks.
void export_model(const Model& model, const std::string& path);

}  // namespace crate
