#include "model/models.h"

namespace crate {
namespace {

template <class Wanted>
std::unique_ptr<Wanted> as(std::unique_ptr<Model> model, const std::string& where, const char* wanted) {
  auto* found = dynamic_cast<Wanted*>(model.get());
  require(found != nullptr, "{} is a {}, not {}", where, name_of(model->config().family), wanted);
  static_cast<void>(model.release());
  return std::unique_ptr<Wanted>(found);
}

}  // namespace

std::unique_ptr<Model> make_model(Device& device, const ModelConfig& config) {
  if (!is_image(config.family)) return std::make_unique<LanguageModel>(device, config);
  if (is_autoencoder(config.family)) return std::make_unique<MaeModel>(device, config);
  return std::make_unique<VisionModel>(device, config);
}

std::unique_ptr<LanguageModel> as_language_model(std::unique_ptr<Model> model, const std::string& where) {
  return as<LanguageModel>(std::move(model), where, "a model of text (crate-gpt, crate-lm, gpt2, gpt-relu)");
}

std::unique_ptr<VisionModel> as_vision_model(std::unique_ptr<Model> model, const std::string& where) {
  return as<VisionModel>(std::move(model), where, "a classifier of images (crate, crate-alpha, vit)");
}

std::unique_ptr<MaeModel> as_mae_model(std::unique_ptr<Model> model, const std::string& where) {
  return as<MaeModel>(std::move(model), where, "an auto-encoder of images (crate-mae, vit-mae)");
}

Tensor tokens_of_images(Model& model, Run& run, const Tensor& images) {
  if (auto* classifier = dynamic_cast<VisionModel*>(&model)) return classifier->tokens(run, images);
  auto* encoder = dynamic_cast<MaeModel*>(&model);
  require(encoder != nullptr, "[model] a {} reads no images", name_of(model.config().family));
  return encoder->tokens(run, images);
}

}  // namespace crate
