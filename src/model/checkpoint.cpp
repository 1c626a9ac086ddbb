#include "model/checkpoint.h"

#include <deque>
#include <filesystem>
#include <future>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"

namespace crate {

TensorToWrite as_f32(const std::string& name, const Tensor& t, std::vector<float>& buffer) {
  TensorToWrite out{name, FileDtype::f32, {}, {}};
  for (int i = 0; i < t.shape.rank(); ++i) out.shape.push_back(t.shape[i]);
  const auto n = static_cast<std::size_t>(t.numel());
  if (t.dtype == Dtype::f32) {
    out.bytes = std::as_bytes(std::span(t.as<float>(), n));
    return out;
  }
  buffer.resize(n);
  for (std::size_t i = 0; i < n; ++i) buffer[i] = static_cast<float>(t.as<double>()[i]);
  out.bytes = std::as_bytes(std::span(buffer));
  return out;
}

void read_into(const Tensor& to, const Array& from, const std::string& where) {
  require(from.numel() == to.numel(), "{}: expected {}, came {}", where, to.shape.str(), from.shape_str());
  if (to.dtype == Dtype::f32 && from.dtype == FileDtype::f32) {
    auto* numbers = static_cast<std::byte*>(to.data);
    parallel_for(static_cast<int64_t>(from.bytes.size()), 1 << 22, [&](int64_t lo, int64_t hi) {
      std::copy(from.bytes.begin() + lo, from.bytes.begin() + hi, numbers + lo);
    });
    return;
  }
  if (to.dtype == Dtype::f32) {
    const auto values = from.to_f32();
    std::copy(values.begin(), values.end(), to.as<float>());
    return;
  }
  const auto values = from.to_f64();
  visit_ref(to.dtype, [&](auto zero) { std::copy(values.begin(), values.end(), to.as<decltype(zero)>()); });
}

void put_model(DirectoryWriter& directory, const Model& model) {
  directory.text("config.json", to_json(model.config()));
  std::deque<std::vector<float>> buffers;
  std::vector<TensorToWrite> tensors;
  for (const Param& p : model.store().all()) tensors.push_back(as_f32(p.name, p.value, buffers.emplace_back()));
  directory.tensors("model.safetensors", tensors, {{"format", "crate"}, {"family", name_of(model.config().family)}});
}

void save_model(const std::string& folder, const Model& model, const std::map<std::string, std::string>& extra) {
  DirectoryWriter directory(folder);
  directory.replace_all();
  put_model(directory, model);
  for (const auto& [name, content] : extra) directory.text(name, content);
  directory.commit();
}

void check_parameters(const ModelConfig& config, const ArrayMap& arrays, const std::string& where) {
  std::set<std::string> known;
  for (const auto& [name, shape, decay] : parameter_shapes(config)) {
    known.insert(name);
    const auto it = arrays.find(name);
    require(it != arrays.end(), "{} has no tensor {}; does its config.json belong to it?", where, name);
    require(it->second.shape_str() == shape.str(),
            "{}: tensor {} must be {}, came {}; does its config.json belong to it?", where, name, shape.str(),
            it->second.shape_str());
  }
  for (const auto& [name, array] : arrays) {
    require(known.contains(name), "{} has a tensor {} that its config.json does not explain", where, name);
  }
}

void fill_parameters(Model& model, const ArrayMap& arrays, const std::string& where) {
  check_parameters(model.config(), arrays, where);
  for (Param& p : model.store().all()) read_into(p.value, arrays.at(p.name), where + ": tensor " + p.name);
  model.store().values_changed();
}

namespace {

// A commit counts from the moment its mark is renamed and then renames each NAME.new to NAME: what a reader found under
// the first name in between is gone when it opens it.
bool is_gone(const std::string& path) { return !path.empty() && !std::filesystem::exists(path); }

constexpr int attempts = 4;

}  // namespace

ModelConfig load_config(const std::string& folder) {
  for (int attempt = 1;; ++attempt) {
    const std::string path = DirectoryReader(folder).path("config.json");
    try {
      return config_from_json(read_text_file(path), path);
    } catch (const Error&) {
      if (attempt == attempts || !is_gone(path)) throw;
    }
  }
}

namespace {

std::unique_ptr<Model> model_from(Device& device, const ModelConfig& config, const std::string& path) {
  const ArrayMap arrays = read_safetensors(path).tensors;
  check_parameters(config, arrays, path);  // before a wrong config.json asks for all memory there is
  auto model = make_model(device, config);
  fill_parameters(*model, arrays, path);
  return model;
}

// The weights are read while another thread checks their hash, which takes as long; `path` becomes the version that is
// the right one, and if that is another than was read, it is read instead.
std::unique_ptr<Model> read_while_checking(Device& device, const ModelConfig& config, const DirectoryReader& directory,
                                           std::string& path) {
  auto checked = std::async(std::launch::async, [&] { return directory.path("model.safetensors"); });
  const std::string usual = directory.folder() + "/model.safetensors";
  std::unique_ptr<Model> model;
  try {
    model = model_from(device, config, usual);
  } catch (const Error&) {  // the check knows what is wrong
  }
  path = checked.get();
  // Between reading and checking the file may have been replaced, once its directory was marked so.
  if (model && path == usual && !directory.is_outdated()) return model;
  return model_from(device, config, path);
}

}  // namespace

std::unique_ptr<Model> load_model(Device& device, const std::string& folder) {
  for (int attempt = 1;; ++attempt) {
    const DirectoryReader directory(folder);
    std::string config_path, path;
    try {
      config_path = directory.path("config.json");
      const ModelConfig config = config_from_json(read_text_file(config_path), config_path);
      return read_while_checking(device, config, directory, path);
    } catch (const Error&) {
      if (attempt == attempts || !(directory.is_outdated() || is_gone(config_path) || is_gone(path))) throw;
    }
  }
}

std::unique_ptr<LanguageModel> load_language_model(Device& device, const std::string& folder) {
  return as_language_model(load_model(device, folder), folder);
}

std::unique_ptr<VisionModel> load_vision_model(Device& device, const std::string& folder) {
  return as_vision_model(load_model(device, folder), folder);
}

std::unique_ptr<MaeModel> load_mae_model(Device& device, const std::string& folder) {
  return as_mae_model(load_model(device, folder), folder);
}

}  // namespace crate
