// crate pca: like parts of several pictures in like colours.
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "model/checkpoint.h"
#include "work/look/pictures.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string model, out = "pca.png";
  std::vector<std::string> images;
  int64_t size = 0, layer = -1;
  bool foreground = false;
};

void run(const Options& o) {
  Device device(o.device_options());
  const auto model = load_model(device, o.model);
  const int64_t layer = o.layer < 0 ? usual_layer(model->config()) : o.layer;
  std::vector<ModelInput> inputs;
  std::vector<PatchFeatures> features;
  std::vector<std::string> names;
  for (const std::string& path : o.images) {
    inputs.push_back(input_for(model->config(), load_image(path), o.size));
    features.push_back(projections_of(*model, inputs.back(), layer));
    names.push_back(std::filesystem::path(path).stem());
  }
  write_png(o.out, components_picture(inputs, colours_by_components(features, o.foreground), names));
  if (o.json)
    fmt::print("{}\n",
               nlohmann::json{{"model", o.model}, {"layer", layer}, {"images", o.images}, {"picture", o.out}}.dump());
  else
    fmt::print("{}: patches of {} pictures by three principal components of layer {}\n", o.out, inputs.size(), layer);
}

}  // namespace

void add_pca(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "pca", "like parts of several pictures in like colours",
                            "crate pca out/scenes --images a.jpg b.jpg c.jpg --foreground -o pca.png", *o);
  c->add_option("model", o->model, "a model of images")->required();
  c->add_option("--images", o->images, "JPEG, PNG or WebP")->required();
  c->add_option("-o,--out", o->out, "the picture (PNG)")->capture_default_str();
  c->add_option("--layer", o->layer, "whose projections; -1: the last but one")->capture_default_str();
  c->add_option("--size", o->size, "short side in pixels for the model; 0: as it was trained")
      ->capture_default_str()
      ->check(not_negative());
  c->add_flag("--foreground", o->foreground, "drop the background by the first component, then colour the rest");
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
