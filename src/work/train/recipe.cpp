#include "work/train/recipe.h"

#include <toml++/toml.h>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numbers>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/nearest.h"
#include "model/presets.h"

namespace crate {
namespace {

std::string text_of(const toml::node& node) {
  std::ostringstream out;
  node.visit([&](const auto& value) {
    if constexpr (toml::is_string<decltype(value)>)
      out << *value;
    else if constexpr (toml::is_boolean<decltype(value)>)
      out << (*value ? "true" : "false");
    else if constexpr (toml::is_integer<decltype(value)>)
      out << *value;
    else if constexpr (toml::is_floating_point<decltype(value)>)
      out << fmt::format("{}", *value);
    else
      out << value;
  });
  return out.str();
}

using Fields = std::map<std::string, std::string>;  // "train.steps" -> "1000"

void flatten(const toml::table& table, const std::string& prefix, Fields& out) {
  for (const auto& [key, value] : table) {
    const std::string name = fmt::format("{}.{}", prefix, key.str());
    if (const toml::table* group = value.as_table())
      flatten(*group, name, out);  // [model.image]
    else
      out[name] = text_of(value);
  }
}

Fields fields_of(const toml::table& table, const std::string& path) {
  Fields out;
  for (const auto& [section, node] : table) {
    const toml::table* keys = node.as_table();
    require(
        keys != nullptr,
        "{}: '{}' stands outside a section; expected [model] [data] [augment] [train] [dino] [optimizer] [schedule]",
        path, std::string_view(section.str()));
    flatten(*keys, std::string(section.str()), out);
  }
  return out;
}

template <class T> T number_from(const std::string& text, const std::string& key) {
  std::size_t used = 0;
  T out{};
  try {
    if constexpr (std::is_floating_point_v<T>)
      out = std::stod(text, &used);
    else
      out = static_cast<T>(std::stoll(text, &used));
  } catch (const std::exception&) {
    used = 0;
  }
  require(used > 0 && used == text.size(), "[recipe] {} must be a {}, came '{}'", key,
          std::is_floating_point_v<T> ? "number" : "whole number", text);
  return out;
}

void take(const std::string& text, const std::string&, std::string& to) { to = text; }
void take(const std::string& text, const std::string& key, double& to) { to = number_from<double>(text, key); }
void take(const std::string& text, const std::string& key, int64_t& to) { to = number_from<int64_t>(text, key); }
void take(const std::string& text, const std::string& key, int& to) { to = number_from<int>(text, key); }
void take(const std::string& text, const std::string& key, uint64_t& to) {
  to = static_cast<uint64_t>(number_from<int64_t>(text, key));
}
void take(const std::string& text, const std::string& key, bool& to) {
  require(text == "true" || text == "false", "[recipe] {} must be true or false, came '{}'", key, text);
  to = text == "true";
}

template <class Visit> void for_each_augment_field(AugmentOptions& a, Visit&& visit) {
  visit("augment.crop", a.crop);
  visit("augment.scale_min", a.scale_min);
  visit("augment.scale_max", a.scale_max);
  visit("augment.ratio_min", a.ratio_min);
  visit("augment.ratio_max", a.ratio_max);
  visit("augment.padding", a.padding);
  visit("augment.interpolation", a.interpolation);
  visit("augment.flip", a.flip);
  visit("augment.randaugment", a.randaugment);
  visit("augment.randaugment_strength", a.randaugment_strength);
  visit("augment.jitter", a.jitter);
  visit("augment.brightness", a.brightness);
  visit("augment.contrast", a.contrast);
  visit("augment.saturation", a.saturation);
  visit("augment.hue", a.hue);
  visit("augment.grey", a.grey);
  visit("augment.blur", a.blur);
  visit("augment.blur_min", a.blur_min);
  visit("augment.blur_max", a.blur_max);
  visit("augment.solarise", a.solarise);
  visit("augment.erase", a.erase);
  visit("augment.erase_min", a.erase_min);
  visit("augment.erase_max", a.erase_max);
  visit("augment.erase_ratio_min", a.erase_ratio_min);
  visit("augment.erase_ratio_max", a.erase_ratio_max);
  visit("augment.erase_noise", a.erase_noise);
  visit("augment.mixup", a.mixup);
  visit("augment.cutmix", a.cutmix);
  visit("augment.mix", a.mix);
  visit("augment.mix_switch", a.mix_switch);
  visit("augment.label_smoothing", a.label_smoothing);
}

template <class Visit> void for_each_field(Recipe& r, Visit&& visit) {
  visit("data.train", r.data.train);
  visit("data.val", r.data.val);
  visit("data.val_fraction", r.data.val_fraction);
  visit("data.tokenizer", r.data.tokenizer);
  visit("data.json_field", r.data.json_field);
  visit("data.document_prefix", r.data.document_prefix);
  visit("data.workers", r.data.workers);
  visit("data.memory_mb", r.data.memory_mb);
  visit("data.resize", r.data.resize);
  for_each_augment_field(r.augment, visit);
  visit("train.task", r.train.task);
  visit("train.init_from", r.train.init_from);
  visit("train.epochs", r.train.epochs);
  visit("train.eval_images", r.train.eval_images);
  visit("dino.hidden", r.dino.hidden);
  visit("dino.features", r.dino.features);
  visit("dino.small_views", r.dino.small_views);
  visit("dino.small_size", r.dino.small_size);
  visit("dino.split", r.dino.split);
  visit("dino.eps", r.dino.eps);
  visit("dino.coefficient", r.dino.coefficient);
  visit("dino.momentum", r.dino.momentum);
  visit("dino.knn_images", r.dino.knn_images);
  visit("train.steps", r.train.steps);
  visit("train.batch", r.train.batch);
  visit("train.micro_batches", r.train.micro_batches);
  visit("train.eval_every", r.train.eval_every);
  visit("train.eval_tokens", r.train.eval_tokens);
  visit("train.measure_every", r.train.measure_every);
  visit("train.measure_samples", r.train.measure_samples);
  visit("train.checkpoint_every", r.train.checkpoint_every);
  visit("train.log_every", r.train.log_every);
  visit("train.seed", r.train.seed);
  visit("train.recompute", r.train.recompute);
  visit("train.dtype", r.train.dtype);
  visit("train.ema", r.train.ema);
  visit("optimizer.name", r.optimizer.name);
  visit("optimizer.lr", r.optimizer.lr);
  visit("optimizer.beta1", r.optimizer.beta1);
  visit("optimizer.beta2", r.optimizer.beta2);
  visit("optimizer.momentum", r.optimizer.momentum);
  visit("optimizer.eps", r.optimizer.eps);
  visit("optimizer.weight_decay", r.optimizer.weight_decay);
  visit("optimizer.final_weight_decay", r.optimizer.final_weight_decay);
  visit("optimizer.clip", r.optimizer.clip);
  visit("schedule.shape", r.schedule.shape);
  visit("schedule.warmup", r.schedule.warmup);
  visit("schedule.warmup_epochs", r.schedule.warmup_epochs);
  visit("schedule.final_ratio", r.schedule.final_ratio);
}

std::vector<std::string> known_keys() {
  std::vector<std::string> keys = {"model.preset"};
  for (const std::string& name : field_names()) keys.push_back("model." + name);
  Recipe recipe;
  for_each_field(recipe, [&](const char* name, auto&) { keys.emplace_back(name); });
  return keys;
}

void check_keys(const Fields& fields, const std::string& path) {
  const std::vector<std::string> known = known_keys();
  for (const auto& [key, value] : fields) {
    require(std::find(known.begin(), known.end(), key) != known.end(), "{}: unknown key '{}'; did you mean '{}'?", path,
            key, nearest(key, known));
  }
}

void set_model(Recipe& recipe, const Fields& fields) {
  const auto named = fields.find("model.preset");
  if (named != fields.end()) recipe.model = preset(named->second);
  const auto family = fields.find("model.family");
  if (family != fields.end()) set_field(recipe.model, "family", family->second);
  for (const auto& [key, value] : fields) {
    if (key.starts_with("model.") && key != "model.preset" && key != "model.family")
      set_field(recipe.model, key.substr(6), value);
  }
}

void one_of(const char* key, const std::string& value, std::initializer_list<std::string_view> allowed) {
  std::string list;
  for (const std::string_view a : allowed) {
    if (a == value) return;
    list += (list.empty() ? "" : ", ") + std::string(a);
  }
  fail("[recipe] {} must be one of {}, came '{}'", key, list, value);
}

void check(const Recipe& r) {
  require(!r.data.train.empty(), "[recipe] data.train names nothing to learn from");
  require(r.data.val_fraction > 0 && r.data.val_fraction < 1, "[recipe] data.val_fraction must lie in (0, 1), came {}",
          r.data.val_fraction);
  require(r.train.steps >= 0, "[recipe] train.steps must be >= 0, came {}", r.train.steps);
  require(r.train.batch > 0 && r.train.micro_batches > 0 && r.train.batch % r.train.micro_batches == 0,
          "[recipe] train.batch {} must be a positive multiple of train.micro_batches {}", r.train.batch,
          r.train.micro_batches);
  require(r.train.epochs >= 0 && r.schedule.warmup_epochs >= 0,
          "[recipe] train.epochs and schedule.warmup_epochs must be >= 0, came {} and {}", r.train.epochs,
          r.schedule.warmup_epochs);
  require(
      is_image(r.model.family) || (r.train.epochs == 0 && r.schedule.warmup_epochs == 0),
      "[recipe] train.epochs and schedule.warmup_epochs count passes over images; a text is learned for train.steps");
  one_of("train.task", r.train.task, {"auto", "simdino"});
  require(r.dino.hidden > 0 && r.dino.features > 0 && r.dino.small_views >= 0 && r.dino.small_size > 0 &&
              r.dino.eps > 0 && r.dino.split > 0 && r.dino.split < 1 && r.dino.momentum >= 0 && r.dino.momentum <= 1,
          "[recipe] [dino] must have positive sizes and eps, split in (0, 1) and momentum in [0, 1]");
  require(r.train.log_every > 0, "[recipe] train.log_every must be > 0, came {}", r.train.log_every);
  require(r.train.ema >= 0 && r.train.ema < 1, "[recipe] train.ema must lie in [0, 1), came {}", r.train.ema);
  one_of("train.dtype", r.train.dtype, {"f32", "bf16"});
  one_of("optimizer.name", r.optimizer.name, {"adamw", "lion", "muon"});
  one_of("schedule.shape", r.schedule.shape, {"cosine", "linear", "constant"});
  require(r.optimizer.lr > 0, "[recipe] optimizer.lr must be > 0, came {}", r.optimizer.lr);
  require(r.schedule.warmup >= 0, "[recipe] schedule.warmup must be >= 0, came {}", r.schedule.warmup);
}

std::string resolve(const std::string& path, const std::string& recipe) {
  namespace fs = std::filesystem;
  if (path.empty() || path == "bytes" || fs::exists(path)) return path;
  const fs::path folder = fs::absolute(recipe).parent_path();
  for (const fs::path& base : {folder, folder.parent_path()}) {
    if (fs::exists(base / path)) return base / path;
  }
  return path;
}

// "section.key=value", the value as TOML or, failing that, as plain text.
void override_field(Fields& fields, const std::string& setting) {
  const std::size_t equals = setting.find('='), dot = setting.find('.');
  require(equals != std::string::npos && dot < equals, "[recipe] --set expects section.key=value, came '{}'", setting);
  fields[setting.substr(0, equals)] = setting.substr(equals + 1);
}

}  // namespace

Recipe load_recipe(const std::string& path, const std::vector<std::string>& overrides) {
  Fields fields;
  try {
    fields = fields_of(toml::parse(read_text_file(path)), path);
  } catch (const toml::parse_error& e) {
    fail("{}: line {}: {}", path, e.source().begin.line, e.description());
  }
  for (const std::string& setting : overrides) override_field(fields, setting);
  check_keys(fields, path);
  Recipe recipe;
  set_model(recipe, fields);
  for (const auto& field : fields) {
    const std::string &key = field.first, &value = field.second;
    recipe.text += key + " = " + value + "\n";
    for_each_field(recipe, [&](const char* name, auto& to) {
      if (key == name) take(value, key, to);
    });
  }
  check(recipe);
  recipe.model.validate();
  for (std::string* p : {&recipe.data.train, &recipe.data.val, &recipe.data.tokenizer, &recipe.train.init_from})
    *p = resolve(*p, path);
  return recipe;
}

double learning_rate(const ScheduleRecipe& schedule, double lr, int64_t step, int64_t steps) {
  if (step < schedule.warmup) return lr * static_cast<double>(step + 1) / static_cast<double>(schedule.warmup);
  if (schedule.shape == "constant") return lr;
  const auto span = static_cast<double>(std::max<int64_t>(1, steps - schedule.warmup - 1));
  const double along = std::min(1.0, static_cast<double>(step - schedule.warmup) / span);
  const double fall = schedule.shape == "linear" ? 1 - along : 0.5 * (1 + std::cos(std::numbers::pi * along));
  return lr * (schedule.final_ratio + (1 - schedule.final_ratio) * fall);
}

double weight_decay(const OptimizerRecipe& optimizer, int64_t step, int64_t steps) {
  if (optimizer.final_weight_decay < 0) return optimizer.weight_decay;
  const double along = static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, steps - 1));
  const double left = 0.5 * (1 + std::cos(std::numbers::pi * along));
  return optimizer.final_weight_decay + (optimizer.weight_decay - optimizer.final_weight_decay) * left;
}

double average_decay(double ema, int64_t step) {
  const auto s = static_cast<double>(step);
  return std::min(ema, (1 + s) / (10 + s));
}

}  // namespace crate
