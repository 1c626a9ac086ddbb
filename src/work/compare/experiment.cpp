#include "work/compare/experiment.h"

#include <toml++/toml.h>
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/nearest.h"

namespace crate {
namespace {

// What every arm must share, or the arms do not see the same text in the same order with the same schedule.
constexpr std::string_view shared[] = {"data.",      "schedule.",         "train.steps",      "train.batch",
                                       "train.seed", "train.eval_tokens", "train.eval_every", "model.context",
                                       "model.vocab"};

constexpr std::string_view compare_section = "compare.";  // of an override

constexpr Match matches[] = {Match::none, Match::parameters, Match::flops, Match::both, Match::time};

Match match_of(const std::string& name, const std::string& path) {
  for (const Match m : matches) {
    if (name == name_of(m)) return m;
  }
  fail("{}: compare.match must be none, parameters, flops, both or time, came '{}'", path, name);
}

std::string text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  std::ostringstream out;
  node.visit([&](const auto& value) { out << value; });
  return out.str();
}

template <class T> std::vector<T> numbers_of(const toml::node& node, const std::string& key, const std::string& path) {
  const toml::array* array = node.as_array();
  require(array != nullptr && !array->empty(), "{}: {} must be a list of numbers, came '{}'", path, key, text_of(node));
  std::vector<T> out;
  for (const toml::node& item : *array) {
    const auto value = item.value<T>();
    require(value.has_value(), "{}: {} must be a list of numbers, came '{}'", path, key, text_of(item));
    out.push_back(*value);
  }
  return out;
}

std::vector<Control> controls_from(const toml::node& node, const std::string& path) {
  const toml::array* array = node.as_array();
  require(array != nullptr, "{}: compare.controls must be a list, as [\"untrained\"], came '{}'", path, text_of(node));
  std::vector<Control> out;
  for (const toml::node& item : *array) out.push_back(control_of(text_of(item), path + ": compare.controls"));
  return out;
}

void check(const Experiment& e) {
  require(!e.recipe.empty(), "{}: compare.recipe names no recipe", e.path);
  require(e.rate_steps >= 0, "{}: compare.lr_steps must be a whole number, 0 for as many as a run", e.path);
  require(std::set(e.seeds.begin(), e.seeds.end()).size() == e.seeds.size(),
          "{}: compare.seeds names a seed twice; one seed is one run", e.path);
  for (const double lr : e.rates) require(lr > 0, "{}: compare.lr must hold rates > 0, came {}", e.path, lr);
}

void read_compare(Experiment& e, const toml::table& table) {
  const std::vector<std::string> known = {"recipe", "reference", "match", "seeds", "lr", "lr_steps", "controls"};
  for (const auto& [name, node] : table) {
    const std::string key(name.str());
    if (key == "recipe")
      e.recipe = text_of(node);
    else if (key == "reference")
      e.reference = text_of(node);
    else if (key == "match")
      e.match = match_of(text_of(node), e.path);
    else if (key == "seeds")
      e.seeds = numbers_of<uint64_t>(node, "compare.seeds", e.path);
    else if (key == "lr")
      e.rates = numbers_of<double>(node, "compare.lr", e.path);
    else if (key == "lr_steps")
      e.rate_steps = node.value<int64_t>().value_or(-1);
    else if (key == "controls")
      e.controls = controls_from(node, e.path);
    else
      fail("{}: unknown key 'compare.{}'; did you mean 'compare.{}'?", e.path, key, nearest(key, known));
  }
  check(e);
}

// "compare.seeds=[1]", the value as TOML or, failing that, as plain text.
void override_compare(Experiment& e, const std::string& setting) {
  const std::size_t equals = setting.find('=');
  require(equals != std::string::npos, "[compare] --set expects compare.key=value, came '{}'", setting);
  const std::string key = setting.substr(compare_section.size(), equals - compare_section.size());
  toml::table table;
  try {
    table = toml::parse(key + " = " + setting.substr(equals + 1));
  } catch (const toml::parse_error&) {
    table.insert(key, setting.substr(equals + 1));
  }
  read_compare(e, table);
}

// [arm.white] model.family = "crate-lm" -> "model.family=crate-lm".
std::vector<std::string> settings_of(const toml::table& arm, const std::string& name, const std::string& path) {
  std::vector<std::string> out;
  for (const auto& [section, node] : arm) {
    const toml::table* keys = node.as_table();
    require(keys != nullptr, "{}: arm.{}.{} must be section.key = value, as model.family = \"crate-lm\"", path, name,
            std::string_view(section.str()));
    for (const auto& [key, value] : *keys) {
      const std::string full = fmt::format("{}.{}", section.str(), key.str());
      const bool common = std::any_of(std::begin(shared), std::end(shared), [&](std::string_view s) {
        return s.ends_with('.') ? full.starts_with(s) : full == s;
      });
      require(!common, "{}: arm.{} sets {}, which all arms share; set it in the recipe, or with --set for all", path,
              name, full);
      out.push_back(full + "=" + text_of(value));
    }
  }
  return out;
}

// It names folders.
void check_name(const std::string& name, const std::string& path) {
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  require(!name.empty() && name.find_first_not_of(allowed) == std::string::npos,
          "{}: the name of an arm has letters, digits, - and _ only, came '{}'", path, name);
}

std::string beside(const std::string& recipe, const std::string& path) {
  const auto near = std::filesystem::path(path).parent_path() / recipe;
  return std::filesystem::exists(near) ? near.string() : recipe;
}

}  // namespace

const char* name_of(Match match) {
  switch (match) {
    case Match::none:
      return "none";
    case Match::parameters:
      return "parameters";
    case Match::flops:
      return "flops";
    case Match::both:
      return "both";
    case Match::time:
      return "time";
  }
  return "?";
}

const char* name_of(Control control) { return control == Control::untrained ? "untrained" : "rotated"; }

Control control_of(const std::string& name, const std::string& where) {
  for (const Control c : {Control::untrained, Control::rotated}) {
    if (name == name_of(c)) return c;
  }
  fail("{}: a control is untrained or rotated, came '{}'", where, name);
}

const Arm& Experiment::reference_arm() const {
  const auto it = std::find_if(arms.begin(), arms.end(), [&](const Arm& a) { return a.name == reference; });
  require(it != arms.end(), "{}: compare.reference names no arm of the file, came '{}'", path, reference);
  return *it;
}

Experiment load_experiment(const std::string& path, const std::vector<std::string>& overrides) {
  Experiment e;
  e.path = path;
  toml::table file;
  try {
    file = toml::parse(read_text_file(path));
  } catch (const toml::parse_error& error) {
    fail("{}: line {}: {}", path, error.source().begin.line, error.description());
  }
  const toml::table *compare = file["compare"].as_table(), *arms = file["arm"].as_table();
  require(compare != nullptr && arms != nullptr && arms->size() >= 2,
          "{}: expected a [compare] section and at least two [arm.NAME] sections", path);
  read_compare(e, *compare);
  for (const auto& [name, node] : file) {
    require(name == "compare" || name == "arm" || name == "mdl",
            "{}: unknown section '{}'; expected [compare], [arm.NAME] and, for crate mdl, [mdl]", path,
            std::string_view(name.str()));
  }
  const auto of_experiment = [](const std::string& setting) { return setting.starts_with(compare_section); };
  std::vector<std::string> for_arms;
  std::remove_copy_if(overrides.begin(), overrides.end(), std::back_inserter(for_arms), of_experiment);
  for (const std::string& setting : overrides) {
    if (of_experiment(setting)) override_compare(e, setting);
  }
  e.recipe = beside(e.recipe, path);
  for (const auto& [name, node] : *arms) {
    check_name(std::string(name.str()), path);
    require(node.is_table(), "{}: arm.{} must be a section", path, std::string_view(name.str()));
    Arm arm{std::string(name.str()), settings_of(*node.as_table(), std::string(name.str()), path), {}};
    arm.set.insert(arm.set.end(), for_arms.begin(), for_arms.end());
    arm.recipe = load_recipe(e.recipe, arm.set);
    e.arms.push_back(std::move(arm));
  }
  static_cast<void>(e.reference_arm());
  return e;
}

}  // namespace crate
