#include <toml++/toml.h>

#include "base/error.h"
#include "base/file.h"
#include "base/nearest.h"
#include "work/mdl/mdl.h"

namespace crate {
namespace {

template <class T> std::vector<T> numbers(const toml::node& node, const std::string& key, const std::string& path) {
  const toml::array* array = node.as_array();
  require(array != nullptr && !array->empty(), "{}: mdl.{} must be a list of numbers", path, key);
  std::vector<T> out;
  for (const toml::node& item : *array) {
    const auto value = item.value<T>();
    require(value.has_value(), "{}: mdl.{} must be a list of numbers", path, key);
    out.push_back(*value);
  }
  return out;
}

void check(const LengthPlan& plan, const std::string& path) {
  require(plan.sample >= 4096, "{}: mdl.sample must be at least 4096 bytes, came {}", path, plan.sample);
  for (const int width : plan.widths)
    require(width >= 2 && width <= 8, "{}: mdl.widths must be 2 to 8 bits, came {}", path, width);
  for (const double size : plan.sizes)
    require(size > 0 && size < 1e6, "{}: mdl.sizes must be MB above 0, came {}", path, size);
  for (const Arm& arm : plan.experiment.arms)
    require(
        !is_image(arm.recipe.model.family) && arm.recipe.model.vocab == 257,
        "{}: arm {} must be a language model that reads bytes (model.vocab = 257), since a text is what is measured",
        path, arm.name);
}

}  // namespace

LengthPlan load_length_plan(const std::string& path, const std::vector<std::string>& overrides) {
  LengthPlan plan;
  plan.experiment = load_experiment(path, overrides);
  const toml::table file = toml::parse(read_text_file(path));  // it was parsed just now: no error left
  if (const toml::table* section = file["mdl"].as_table()) {
    for (const auto& [name, node] : *section) {
      const std::string key(name.str());
      if (key == "sample")
        plan.sample = node.value<int64_t>().value_or(0);
      else if (key == "widths")
        plan.widths = numbers<int>(node, key, path);
      else if (key == "sizes")
        plan.sizes = numbers<double>(node, key, path);
      else
        fail("{}: unknown key 'mdl.{}'; did you mean 'mdl.{}'?", path, key,
             nearest(key, {"sample", "widths", "sizes"}));
    }
  }
  check(plan, path);
  return plan;
}

}  // namespace crate
