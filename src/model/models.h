// models: which class the models of a family are.
#pragma once
#include <memory>
#include <string>

#include "model/language_model.h"
#include "model/mae_model.h"
#include "model/vision_model.h"

namespace crate {

std::unique_ptr<Model> make_model(Device& device, const ModelConfig& config);

// The model as what it is; `where` names it when it is something else. Throw Error.
std::unique_ptr<LanguageModel> as_language_model(std::unique_ptr<Model> model, const std::string& where);
std::unique_ptr<VisionModel> as_vision_model(std::unique_ptr<Model> model, const std::string& where);
std::unique_ptr<MaeModel> as_mae_model(std::unique_ptr<Model> model, const std::string& where);

/// What a model of images makes of whole images (b, channels, height, width), already normalised: (b, n [+ 1], d), the
/// class token first; of an auto-encoder its encoder. Throws Error for models of text.
Tensor tokens_of_images(Model& model, Run& run, const Tensor& images);

}  // namespace crate
