// recipe: a training run as a TOML file: [model] [data] [augment] [train] [dino] [optimizer] [schedule]. Unknown keys
// are errors.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"
#include "work/image/augment.h"

namespace crate {

struct DataRecipe {
  std::string train;  // text, shards or a prepared folder; images as work/image/set.h opens them
  std::string val;    // the same; empty: the last `val_fraction` of train
  double val_fraction = 0.1;
  std::string tokenizer = "bytes";  // "bytes", a tokenizer.json, a folder
  std::string json_field = "text";
  std::string document_prefix;
  // Of images. An empty val is the other part of train.
  int64_t workers = 0;      // threads that decode and augment; 0: one a core
  int64_t memory_mb = 512;  // decoded images are kept when all fit
  int64_t resize = -1;      // short side before the middle is cut out, in evaluation; 0: what just covers; -1: as usual
};

struct TrainRecipe {
  std::string task = "auto";   // what the family learns by nature; "simdino": self-supervision of image families
  std::string init_from = {};  // a model directory whose weights are the beginning: fine-tuning
  int64_t steps = 1000;
  int64_t epochs = 0;              // of images: decides the steps when > 0
  int64_t batch = 16;              // sequences a step
  int64_t micro_batches = 1;       // the batch is computed in this many parts
  int64_t eval_every = 250;        // steps; 0: only at the end
  int64_t eval_tokens = 65536;     // 0: the whole validation text
  int64_t eval_images = 0;         // spread over the validation set; 0: all
  int64_t measure_every = 0;       // steps between looks at every layer (work/measure); 0: none
  int64_t measure_samples = 16;    // of the validation data, for such a look
  int64_t checkpoint_every = 500;  // steps; 0: only at the end
  int64_t log_every = 10;
  uint64_t seed = 1;
  bool recompute = false;
  std::string dtype = "f32";  // or "bf16": products on bf16 inputs
  double ema = 0;             // of the weights, e.g. 0.9999: their average is evaluated and saved beside; 0: none
};

/// Self-supervision; see dino_task.h.
struct DinoRecipe {
  int64_t hidden = 2048, features = 256;  // of the projection
  int64_t small_views = 6, small_size = 96;
  double split = 0.3;  // share of the area: large crops take more, small ones less
  double eps = 0.05;   // precision of the coding rate, as it stands in the denominator
  double coefficient = 1;
  double momentum = 0.996;      // of the teacher at the first step
  int64_t knn_images = 10'000;  // of the training set, for the nearest neighbours of validation
};

struct OptimizerRecipe {
  std::string name = "adamw";  // or "lion", or "muon": Muon for the matrices of the blocks, AdamW for the rest
  double lr = 1e-3;
  double beta1 = 0.9, beta2 = 0.95;
  double momentum = 0.95;  // of Muon
  double eps = 1e-8;
  double weight_decay = 0.1;
  double final_weight_decay = -1;  // at the last step, along half a cosine; below 0: as at the first
  double clip = 1.0;               // of the global gradient norm; 0: none
};

struct ScheduleRecipe {
  std::string shape = "cosine";  // cosine, linear, constant
  int64_t warmup = 100;          // steps
  int64_t warmup_epochs = 0;     // of images: decides the warm-up when > 0
  double final_ratio = 0.1;      // of lr at the last step
};

struct Recipe {
  ModelConfig model;
  DataRecipe data;
  AugmentOptions augment;
  TrainRecipe train;
  DinoRecipe dino;
  OptimizerRecipe optimizer;
  ScheduleRecipe schedule;
  std::string text;  // as it was after overrides: one "section.key = value" a line
};

/// Reads a recipe and applies overrides "section.key=value". Paths that do not exist from here are tried from the
/// recipe's folder and the folder above. Throws Error naming file and key.
Recipe load_recipe(const std::string& path, const std::vector<std::string>& overrides = {});

/// Learning rate of step 0 .. steps - 1: linear warm-up, then the shape down to final_ratio.
double learning_rate(const ScheduleRecipe& schedule, double lr, int64_t step, int64_t steps);

/// Weight decay of a step.
double weight_decay(const OptimizerRecipe& optimizer, int64_t step, int64_t steps);

/// Of the average of the weights after `step` steps: min(ema, (1 + step) / (10 + step)), so that a short run does not
/// remember its random beginning.
double average_decay(double ema, int64_t step);

}  // namespace crate
