// crate attention: where every head of every layer looks in a picture.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "model/checkpoint.h"
#include "work/look/pictures.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string model, image, out = "attention.png";
  int64_t size = 0;
};

// [layer][head][row][column]
nlohmann::json json_of(const AttentionMaps& maps) {
  nlohmann::json layers = nlohmann::json::array();
  for (int64_t l = 0; l < maps.layers; ++l) {
    nlohmann::json heads = nlohmann::json::array();
    for (int64_t h = 0; h < maps.heads; ++h) {
      nlohmann::json rows = nlohmann::json::array();
      for (int64_t r = 0; r < maps.rows; ++r) {
        const double* row = maps.map(l, h) + r * maps.columns;
        rows.push_back(std::vector<double>(row, row + maps.columns));
      }
      heads.push_back(std::move(rows));
    }
    layers.push_back(std::move(heads));
  }
  return layers;
}

void run(const Options& o) {
  Device device(o.device_options());
  const auto model = load_model(device, o.model);
  const ModelInput input = input_for(model->config(), load_image(o.image), o.size);
  const AttentionMaps maps = attention_of(*model, input);
  write_png(o.out, attention_picture(input, maps));
  if (o.json) {
    fmt::print("{}\n", nlohmann::json{{"model", o.model},
                                      {"image", o.image},
                                      {"of", maps.of_class_token ? "class token" : "mean over queries"},
                                      {"height", input.image.height},
                                      {"width", input.image.width},
                                      {"maps", json_of(maps)},
                                      {"picture", o.out}}
                           .dump());
    return;
  }
  fmt::print("{}: {} layers of {} heads over {} x {} patches, {}\n", o.out, maps.layers, maps.heads, maps.rows,
             maps.columns,
             maps.of_class_token ? "attention of the class token"
                                 : "the model has no class token: mean attention of all patches");
}

}  // namespace

void add_attention(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "attention", "where every head of every layer looks in a picture",
                            "crate attention out/scenes --image photo.jpg --size 448 -o attention.png", *o);
  c->add_option("model", o->model, "a model of images")->required();
  c->add_option("--image", o->image, "JPEG, PNG or WebP")->required();
  c->add_option("-o,--out", o->out, "the picture (PNG): a row a layer, a column a head")->capture_default_str();
  c->add_option("--size", o->size, "short side in pixels for the model; 0: as it was trained")
      ->capture_default_str()
      ->check(not_negative());
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
