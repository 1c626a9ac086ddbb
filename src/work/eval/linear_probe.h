// linear_probe: how well classes can be read off features linearly: softmax regression on the features of a frozen
// model, each channel standardised by the training images (in place of the batch norm of the MAE paper's protocol),
// learned by AdamW over shuffled batches with a cosine from lr to 0.
#pragma once
#include "work/eval/knn.h"

namespace crate {

struct ProbeOptions {
  int64_t epochs = 50;
  int64_t batch = 512;
  double lr = 3e-3;
  double weight_decay = 0.01;
  uint64_t seed = 1;
};

struct ProbeResult {
  Accuracy val;
  double train_loss = 0;  // of the last epoch
  double val_loss = 0;
};

/// Throws Error when the classes differ.
ProbeResult linear_probe(Features train, Features val, const ProbeOptions& options = {});

}  // namespace crate
