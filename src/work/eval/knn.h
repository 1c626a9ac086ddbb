// knn: how well features tell classes apart without any training: each image is named by its nearest neighbours among
// the training images, similarity s = cosine of the features, a neighbour's vote exp(s / temperature) (Wu et al., 2018;
// as in DINO's evaluation).
#pragma once
#include "work/eval/features.h"

namespace crate {

struct KnnOptions {
  int64_t neighbours = 20;
  double temperature = 0.07;
};

struct Accuracy {
  double top1 = 0, top5 = 0;
  int64_t images = 0;
};

/// Features of both sets, as they come from the model. Throws Error when there are fewer training images than
/// neighbours or the classes differ.
Accuracy knn(Device& device, Features train, Features val, const KnnOptions& options = {});

}  // namespace crate
