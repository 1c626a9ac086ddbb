// image_task: a classifier of images learns to name them: mean cross-entropy against targets that may be smoothed and
// mixed (label smoothing, mixup, cutmix).
#pragma once
#include "model/vision_model.h"
#include "work/train/image_data.h"

namespace crate {

class ImageTask final : public Task {
 public:
  ImageTask(Device& device, Recipe& recipe);

  std::vector<ParameterStore*> stores() override { return {&model_.store()}; }
  int64_t layers() const override { return recipe_.model.layers; }
  bool is_fixed(const Param& p) const override { return crate::is_fixed(recipe_.model, p.name); }
  void init() override;
  void load(const DirectoryReader& directory) override;
  void put(DirectoryWriter& directory) override;
  const std::string& data() const override { return data_.identity(); }
  const char* unit() const override { return "images"; }
  int64_t units_a_step() const override { return recipe_.train.batch; }
  double learn(Run& run, const BatchPart& part, Sums& sums) override;
  std::vector<std::string> left_out() override { return loader_.left_out(); }
  std::vector<Metric> metrics(const Sums& sums, double loss_sum, double seconds) override;
  Validation validate() override;
  double probe(int64_t step) override;
  std::optional<Measurement> measure(int64_t samples) override { return data_.measure(model_, recipe_, samples); }

 private:
  /// Rows of a batch as tensors.
  struct Rows {
    Tensor images, targets;
  };
  Rows rows_of(const ImageBatch& batch, int64_t first, int64_t rows) const;

  Device& device_;
  const Recipe& recipe_;
  ImageData data_;
  VisionModel model_;
  TrainLoader loader_;
};

}  // namespace crate
