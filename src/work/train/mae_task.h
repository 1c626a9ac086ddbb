// mae_task: a masked auto-encoder learns to predict the patches of an image that it does not see. Which patches are
// masked is a matter of noise, addressed by the step and the row of the batch; in validation by the image.
#pragma once
#include "model/mae_model.h"
#include "work/image/image.h"
#include "work/train/image_data.h"

namespace crate {

class MaeTask final : public Task {
 public:
  MaeTask(Device& device, Recipe& recipe);

  std::vector<ParameterStore*> stores() override { return {&model_.store()}; }
  int64_t layers() const override { return recipe_.model.layers; }
  bool is_fixed(const Param& p) const override { return crate::is_fixed(recipe_.model, p.name); }
  void init() override;
  void load(const DirectoryReader& directory) override;
  /// Beside the weights: reconstructions.png, of the first validation images.
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
  Tensor images_of(const ImageBatch& batch, int64_t first, int64_t rows) const;
  /// (rows, patches): uniform numbers addressed by major and the number of the row.
  std::vector<float> noise(uint64_t major, int64_t first, int64_t rows) const;
  Tensor as_tensor(std::vector<float>& noise) const;

  Device& device_;
  const Recipe& recipe_;
  ImageData data_;
  MaeModel model_;
  TrainLoader loader_;
};

/// A row of three pictures an image: the image, what was not masked of it (the rest in the mean colour), and the image
/// with the masked patches as predicted. images f32 (b, c, h, w), normalised, of the model's size.
Image reconstruction_sheet(MaeModel& model, const Tensor& images, const Tensor& noise);

}  // namespace crate
