// crate segment: objects that nobody taught a model, as masks; against true masks also how well they cover them.
#include "work/look/segment.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "model/checkpoint.h"
#include "work/draw/picture.h"
#include "work/image/set.h"

namespace crate::cli {
namespace {

namespace fs = std::filesystem;

struct Options : Common {
  std::string model, image, data, split = "val", out;
  int64_t max_images = 0;
  SegmentOptions segment;
};

// PREFIX.mask.png, numbers by object in VOC's colours, and PREFIX.overlay.png.
void write_pictures(const std::string& prefix, const Image& picture, const Image& mask) {
  write_png(prefix + ".mask.png", mask, voc_palette());
  write_png(prefix + ".overlay.png", with_objects(with_channels(picture, 3), mask));
}

void one_image(const Options& o, Model& model) {
  const Image picture = load_image(o.image);
  const Segmentation s = segment(model, picture, o.segment);
  const std::string prefix = o.out.empty() ? fs::path(o.image).stem().string() : o.out;
  write_pictures(prefix, picture, mask_image(s, picture.height, picture.width));
  if (o.json)
    fmt::print("{}\n", nlohmann::json{{"model", o.model},
                                      {"image", o.image},
                                      {"rows", s.rows},
                                      {"columns", s.columns},
                                      {"masks", s.masks},
                                      {"mask", prefix + ".mask.png"},
                                      {"overlay", prefix + ".overlay.png"}}
                           .dump());
  else
    fmt::print("{0}.mask.png, {0}.overlay.png: {1} masks on {2} x {3} patches\n", prefix, s.masks.size(), s.rows,
               s.columns);
}

void data_set(const Options& o, Model& model) {
  const auto set = open_images(o.data, {.split = o.split, .need_labels = false});
  if (!o.out.empty()) fs::create_directories(o.out);
  const int64_t count = o.max_images > 0 ? std::min(o.max_images, set->size()) : set->size();
  double foreground = 0, best = 0;
  int64_t images = 0, truths = 0, empty = 0;
  Progress progress;
  for (int64_t i = 0; i < count; ++i) {
    const Image picture = set->decode(i);
    const std::optional<Image> truth = set->mask(i);
    require(truth.has_value(), "{} has no masks; give a folder in the VOC layout, or synthetic:N", o.data);
    const Segmentation s = segment(model, picture, o.segment);
    if (!o.out.empty())
      write_pictures((fs::path(o.out) / fmt::format("{:05}", i)).string(), picture,
                     mask_image(s, picture.height, picture.width));
    progress.show(fmt::format("[{}] {} of {} images", bar(static_cast<double>(i + 1) / static_cast<double>(count), 20),
                              i + 1, count));
    if (!has_objects(*truth)) {
      ++empty;
      continue;
    }
    const SegmentScore score_i = score(s, *truth);
    foreground += score_i.foreground;
    best += score_i.best;
    truths += score_i.truths;
    ++images;
  }
  progress.clear();
  require(images > 0, "{} holds no image with a true object", o.data);
  foreground /= static_cast<double>(images);
  best /= static_cast<double>(images);
  if (o.json)
    fmt::print("{}\n", nlohmann::json{{"model", o.model},
                                      {"data", o.data},
                                      {"method", o.segment.method},
                                      {"images", images},
                                      {"truths", truths},
                                      {"without_objects", empty},
                                      {"foreground_iou", foreground},
                                      {"best_iou", best}}
                           .dump());
  else
    fmt::print("{}: mean IoU over {} images: foreground {:.4f}, best mask of each of {} true classes {:.4f}\n", o.model,
               images, foreground, truths, best);
}

void run(const Options& o) {
  require(o.image.empty() != o.data.empty(), "give either --image or --data");
  Device device(o.device_options());
  const auto model = load_model(device, o.model);
  o.image.empty() ? data_set(o, *model) : one_image(o, *model);
}

}  // namespace

void add_segment(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "segment", "objects in pictures as masks, by what a model was never taught",
                            "crate segment out/scenes --data synthetic:200 --objects 1", *o);
  c->add_option("model", o->model, "a model of images")->required();
  c->add_option("--image", o->image, "JPEG, PNG or WebP");
  c->add_option("--data", o->data, "images with masks: the VOC layout, or synthetic:N");
  c->add_option("--split", o->split, "of --data, where it has parts")->capture_default_str();
  c->add_option("--max-images", o->max_images, "only the first so many; 0: all")->capture_default_str();
  c->add_option("-o,--out", o->out, "of --image: prefix of the pictures; of --data: a folder for them, else none");
  c->add_option("--method", o->segment.method, "ncut: normalised cut of the projections; attention: of the class token")
      ->capture_default_str();
  c->add_option("--objects", o->segment.ncut.objects, "ncut: at most so many")->capture_default_str();
  c->add_option("--tau", o->segment.ncut.tau, "ncut: patches with a larger cosine belong together")
      ->capture_default_str();
  c->add_option("--keep", o->segment.keep, "attention: the share of its mass that is the object")
      ->capture_default_str();
  c->add_option("--layer", o->segment.layer, "-1: the last but one")->capture_default_str();
  c->add_option("--size", o->segment.size, "short side in pixels for the model; 0: as it was trained")
      ->capture_default_str()
      ->check(not_negative());
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
