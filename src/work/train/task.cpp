#include "work/train/task.h"

#include <numeric>

#include "work/train/dino_task.h"
#include "work/train/image_task.h"
#include "work/train/mae_task.h"
#include "work/train/text_task.h"

namespace crate {

double value_of(const std::vector<Metric>& metrics, std::string_view name) {
  for (const auto& [key, value] : metrics) {
    if (key == name) return value;
  }
  return 0;
}

double Validation::mean_nonzero() const {
  const double sum = std::accumulate(code_nonzero.begin(), code_nonzero.end(), 0.0);
  return code_nonzero.empty() ? 0 : sum / static_cast<double>(code_nonzero.size());
}

double scalar(const Tensor& t) { return t.dtype == Dtype::f32 ? t.as<float>()[0] : t.as<double>()[0]; }

std::unique_ptr<Task> make_task(Device& device, Recipe& recipe) {
  if (!is_image(recipe.model.family)) return std::make_unique<TextTask>(device, recipe);
  if (is_autoencoder(recipe.model.family)) return std::make_unique<MaeTask>(device, recipe);
  if (recipe.train.task == "simdino") return std::make_unique<DinoTask>(device, recipe);
  return std::make_unique<ImageTask>(device, recipe);
}

}  // namespace crate
