// task: what is learned. The trainer owns steps, schedule, optimiser, checkpoints and metrics; a task owns the model
// and the data: what a batch is, its loss, how to validate, and what lies beside the weights.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/checkpoint.h"
#include "work/measure/measurement.h"
#include "work/train/average.h"
#include "work/train/recipe.h"

namespace crate {

/// A number by name, as it stands in metrics.jsonl.
using Metric = std::pair<std::string, double>;
/// The metric's value; 0 when there is none of that name.
double value_of(const std::vector<Metric>& metrics, std::string_view name);

/// How well the model does on data it does not learn from.
struct Validation {
  double loss = 0;
  std::vector<Metric> metrics = {};       // "bits_per_byte", "top1", ...
  std::vector<double> code_nonzero = {};  // a layer: fraction of non-zero codes (twins: of positive hidden units)
  double value(std::string_view name) const { return value_of(metrics, name); }
  double mean_nonzero() const;
};

/// Part `part` of the batch of step `step`; a batch is computed in `parts` of equal size.
struct BatchPart {
  int64_t step = 0, part = 0, parts = 1;
};

/// What the steps since the last report add up to; kept in a checkpoint.
using Sums = std::map<std::string, double>;

class Task {
 public:
  Task() = default;
  virtual ~Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  /// All that is learned, in the order in which the optimiser walks it.
  virtual std::vector<ParameterStore*> stores() = 0;
  virtual int64_t layers() const = 0;
  /// Never trained: positions that are a formula.
  virtual bool is_fixed(const Param& /*p*/) const { return false; }
  /// Weights as a fresh run begins with them.
  virtual void init() = 0;
  /// Weights of a checkpoint. Throws Error when it holds another model.
  virtual void load(const DirectoryReader& directory) = 0;
  /// The model directory without the training state.
  virtual void put(DirectoryWriter& directory) = 0;
  /// Slow averages of the weights that the task keeps itself, to be evaluated and saved beside them; null: none.
  virtual WeightAverage* average() { return nullptr; }
  /// What tells the training data from other data.
  virtual const std::string& data() const = 0;

  /// What a step is counted in, "tokens", and how many of them it takes.
  virtual const char* unit() const = 0;
  virtual int64_t units_a_step() const = 0;

  /// Forward and backward of a part in `run`, weighted so that the gradients of all parts add up to the batch's mean.
  /// Gives the part's mean loss.
  virtual double learn(Run& run, const BatchPart& part, Sums& sums) = 0;
  /// The optimiser has made step `step`.
  virtual void stepped(int64_t /*step*/) {}
  /// Samples that could not be read and were left out, each named with its reason, once, since this was last asked.
  virtual std::vector<std::string> left_out() { return {}; }
  /// What the sums say beside the loss; loss_sum: the losses of the same steps added up, seconds: their time.
  virtual std::vector<Metric> metrics(const Sums& sums, double loss_sum, double seconds) = 0;
  virtual Validation validate() = 0;
  /// Every layer, over so many samples that are not learned from; none when there is no way to look at this model.
  virtual std::optional<Measurement> measure(int64_t /*samples*/) { return std::nullopt; }
  /// The loss of one example of step `step`: is it still finite?
  virtual double probe(int64_t step) = 0;
};

/// The task a recipe describes, by its family and [train] task. Settles what the recipe leaves to the data (steps from
/// epochs). Throws Error when model and data do not fit, before anything is trained.
std::unique_ptr<Task> make_task(Device& device, Recipe& recipe);

/// The number in a tensor of one element.
double scalar(const Tensor& t);

}  // namespace crate
