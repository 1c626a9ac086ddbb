// dino_task: SimDINO (Wu et al. 2025, arXiv 2502.10385): self-supervision without labels. A student sees large and
// small crops of an image, its teacher, the slow average of the student's weights, only the large ones; the student's
// features are to point where the teacher's do, and all features of a batch are to be spread out.
//
//   z = unit(P(head.in)),  P an mlp d -> hidden -> d and a product d -> p    student s_j, teacher t_i (no gradient)
//   C = mean over views i of the teacher, j of the student, i != j, and over images, of t_i's_j
//   E = gamma mean over the student's large views of R(Z_j),  R with alpha = p / (m eps),  Z_j (m, p): the batch
//   loss = - coefficient C - E          gamma = (p + m) / (p m)          m images
//   d_s_j = - coefficient / (pairs m) sum over i != j of t_i, and through R (see ops/coding_rate.h)
//
// teacher = momentum teacher + (1 - momentum) student after each step, momentum from its value in the recipe to 1 along
// half a cosine. The trained directory holds the student; its folder ema holds the teacher, which is what one goes on
// with.
#pragma once
#include "model/vision_model.h"
#include "work/train/average.h"
#include "work/train/image_data.h"

namespace crate {

class DinoTask final : public Task {
 public:
  DinoTask(Device& device, Recipe& recipe);

  std::vector<ParameterStore*> stores() override { return {&model_.store(), &projection_}; }
  int64_t layers() const override { return recipe_.model.layers; }
  bool is_fixed(const Param& p) const override { return crate::is_fixed(recipe_.model, p.name); }
  void init() override;
  void load(const DirectoryReader& directory) override;
  void put(DirectoryWriter& directory) override;
  WeightAverage* average() override { return &teacher_; }
  const std::string& data() const override { return data_.identity(); }
  const char* unit() const override { return "images"; }
  int64_t units_a_step() const override { return recipe_.train.batch; }
  double learn(Run& run, const BatchPart& part, Sums& sums) override;
  void stepped(int64_t step) override;
  std::vector<std::string> left_out() override { return loader_.left_out(); }
  std::vector<Metric> metrics(const Sums& sums, double loss_sum, double seconds) override;
  Validation validate() override;
  double probe(int64_t step) override;
  std::optional<Measurement> measure(int64_t samples) override { return data_.measure(model_, recipe_, samples); }

 private:
  /// Features of length 1 of all views of a part, (count rows, p) each.
  struct Views {
    Tensor large, small;  // small: empty without small crops
  };
  struct Loss {
    double agreement = 0, spread = 0;  // C and E
    double value(double coefficient) const { return -coefficient * agreement - spread; }
  };
  std::vector<ViewOptions> crops() const;
  Tensor view(const ImageBatch& batch, std::size_t kind, int64_t first, int64_t rows);
  Tensor features(Run& run, const Tensor& images);
  Views student(Run& run, const ImageBatch& batch, int64_t first, int64_t rows);
  std::vector<double> teacher(const ImageBatch& batch, int64_t first, int64_t rows);
  Loss loss_of(Run& run, const Views& views, const std::vector<double>& teacher, int64_t rows, double weight);
  double agreement(Run& run, const Tensor& views, bool large, const std::vector<double>& teacher, int64_t rows,
                   double weight);

  Device& device_;
  const Recipe& recipe_;
  ImageData data_;
  VisionModel model_;
  ParameterStore projection_;
  WeightAverage teacher_;
  TrainLoader loader_;
  std::vector<float> buffers_[2];  // the rows of a part, view after view
};

}  // namespace crate
