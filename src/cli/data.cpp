// crate data: texts to token shards; scenes as images and masks; the speed of the image loader.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "work/data/prepare.h"
#include "work/image/loader.h"
#include "work/image/scene.h"

namespace crate::cli {
namespace {

struct Options : Common {
  PrepareOptions prepare;
  std::string format = "nanogpt";
  int64_t scenes = 0, val_scenes = 0;
  int size = 64, objects = 1;
  std::string loader, split;
};

void write_scene_folders(const Options& o) {
  const SceneOptions scenes{
      .count = o.scenes, .height = o.size, .width = o.size, .objects_min = 1, .objects_max = o.objects, .seed = o.seed};
  const int64_t val = o.val_scenes > 0 ? o.val_scenes : std::max<int64_t>(8, o.scenes / 5);
  write_scenes(scenes, val, o.prepare.out);
  if (o.json) {
    fmt::print(
        "{}\n",
        nlohmann::json{
            {"out", o.prepare.out}, {"train", o.scenes}, {"val", val}, {"classes", shape_names()}, {"size", o.size}}
            .dump());
    return;
  }
  fmt::print(
      "{}: {} train and {} val scenes of {} x {} pixels in {} class folders; voc/ holds those of val with masks\n",
      o.prepare.out, o.scenes, val, o.size, o.size, shape_names().size());
}

/// Images that one core decodes and augments in a second: random part and mirror, then RandAugment and jitter as well.
void time_loader(const Options& o) {
  const auto set = open_images(o.loader, {.split = o.split, .need_labels = false});
  LoaderOptions options{.batch = std::min<int64_t>(16, set->size()), .seed = o.seed, .memory = 0};
  AugmentOptions& augment = options.views[0].augment;
  augment.height = augment.width = o.size;
  const double plain = loader_speed(*set, options, 3);
  augment.randaugment = 2;
  augment.brightness = augment.contrast = augment.saturation = 0.4;
  const double rich = loader_speed(*set, options, 3);
  if (o.json) {
    fmt::print("{}\n", nlohmann::json{{"images", set->size()},
                                      {"size", o.size},
                                      {"crop_flip_per_second", plain},
                                      {"randaugment_jitter_per_second", rich}}
                           .dump());
    return;
  }
  fmt::print(
      "{}: a core makes {:.0f} images a second at {} x {} (random part, mirror), {:.0f} with RandAugment(2) and "
      "colour jitter\n",
      set->source(), plain, o.size, o.size, rich);
}

void prepare_texts(Options& o) {
  o.prepare.format = o.format == "llmc" ? ShardFormat::llmc : ShardFormat::nanogpt;
  Progress progress;
  const PrepareResult r = prepare(o.prepare, [&](const PrepareProgress& p) {
    progress.show(fmt::format("[{}] {} {} of {}", bar(p.total > 0 ? p.done / p.total : 1, 20), p.phase,
                              short_number(p.done), short_number(p.total)));
  });
  progress.clear();
  if (o.json) {
    fmt::print("{}\n", nlohmann::json{{"out", o.prepare.out},
                                      {"tokenizer", r.tokenizer},
                                      {"vocab", r.vocab},
                                      {"documents", r.documents},
                                      {"train_tokens", r.train_tokens},
                                      {"val_tokens", r.val_tokens},
                                      {"train_bytes", r.train_bytes},
                                      {"val_bytes", r.val_bytes}}
                           .dump());
    return;
  }
  fmt::print("{}: {} documents, {} train and {} validation tokens, vocabulary {}, {:.2f} bytes a token\n",
             o.prepare.out, r.documents, r.train_tokens, r.val_tokens, r.vocab,
             static_cast<double>(r.train_bytes) / static_cast<double>(r.train_tokens));
}

void run(Options& o) {
  if (!o.loader.empty()) return time_loader(o);
  if (o.prepare.out.empty()) throw CLI::RequiredError("--out");
  if (o.scenes > 0) return write_scene_folders(o);
  if (o.prepare.train.empty()) throw CLI::RequiredError("train (or --scenes, or --bench-loader)");
  prepare_texts(o);
}

}  // namespace

void add_data(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(
      app, "data", "prepare texts as token shards, or write generated scenes",
      "crate data wiki-train.txt.xz --val wiki-valid.txt --train-vocab 8192 --document-prefix '= ' -o out/wiki-data",
      *o);
  c->add_option("train", o->prepare.train, "text, .gz, .xz, .zst, .jsonl files or folders");
  c->add_option("--val", o->prepare.val, "texts for validation (default: every so many-th document)");
  c->add_option("--val-fraction", o->prepare.val_fraction, "of the documents, when there is no --val")
      ->capture_default_str();
  c->add_option("--tokenizer", o->prepare.tokenizer,
                "bytes, a tokenizer.json, or a folder with one or with GPT-2's files")
      ->capture_default_str();
  c->add_option("--train-vocab", o->prepare.train_vocab, "learn a byte-level BPE vocabulary of this size")
      ->check(CLI::Range(257, 65536));
  c->add_option("--json-field", o->prepare.reading.json_field, "of .jsonl: the field that holds the text")
      ->capture_default_str();
  c->add_option("--document-prefix", o->prepare.reading.document_prefix,
                "plain text: a line beginning so starts a document");
  c->add_option("--format", o->format, "of the shards: nanogpt or llmc")
      ->capture_default_str()
      ->check(CLI::IsMember({"nanogpt", "llmc"}));
  c->add_flag("--force", o->prepare.force, "replace what the folder holds");
  c->add_option("--scenes", o->scenes, "write so many generated scenes as class folders of images, and masks")
      ->check(positive());
  c->add_option("--val-scenes", o->val_scenes, "scenes for validation (default: a fifth of --scenes)")
      ->check(positive());
  c->add_option("--objects", o->objects, "in a scene: 1 to so many")->capture_default_str()->check(CLI::Range(1, 16));
  c->add_option("--size", o->size, "of a scene's side, or of the images a worker makes, in pixels")
      ->capture_default_str()
      ->check(CLI::Range(16, 4096));
  c->add_option("--bench-loader", o->loader, "time decoding and augmenting the images of this folder, tar or file");
  c->add_option("--split", o->split, "of --bench-loader: train, val or test");
  c->add_option("-o,--out", o->prepare.out, "folder to write");
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
