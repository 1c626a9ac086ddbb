// import: weights under the authors' names to a model of ours, and back.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "model/files/array.h"
#include "model/language_model.h"

namespace crate {

/// Hyper-parameters spelled as the authors do (n_embd, n_head, n_layer, block_size, vocab_size, eta, lambda, ln_eps,
/// overcomplete_ratio, bias), values as JSON text.
using OfficialConfig = std::map<std::string, std::string>;

/// What a source file holds once opened: tensors under official names, and what it says about the model.
struct OfficialModel {
  ArrayMap tensors;
  OfficialConfig config;
  std::string family;         // empty when the file does not tell
};

/// .safetensors (also fixture files with tensors under `param/`), .pth, .pt, .pth.tar. Throws Error.
OfficialModel read_official(const std::string& path);

/// Builds the model: what shapes tell need not be given, what they tell must not be contradicted. Throws Error listing
/// missing or unknown tensors, or naming the hyper-parameter that is needed.
std::unique_ptr<LanguageModel> import_model(Device& device, Family family, const OfficialModel& source);

/// Writes the weights under the authors' names (.pth: for torch.load; else safetensors). Throws Error naming the first
/// parameter that the authors' code does not have.
void export_model(const LanguageModel& model, const std::string& path);

}  // namespace crate
