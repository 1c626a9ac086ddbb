#include "model/checkpoint.h"

#include <deque>

#include "base/error.h"
#include "base/file.h"

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
  if (to.dtype == Dtype::f32) {
    const auto values = from.to_f32();
    std::copy(values.begin(), values.end(), to.as<float>());
    return;
  }
  const auto values = from.to_f64();
  visit_ref(to.dtype, [&](auto zero) { std::copy(values.begin(), values.end(), to.as<decltype(zero)>()); });
}

void put_model(DirectoryWriter& directory, const LanguageModel& model) {
  directory.text("config.json", to_json(model.config()));
  std::deque<std::vector<float>> buffers;
  std::vector<TensorToWrite> tensors;
  for (const Param& p : model.store().all()) tensors.push_back(as_f32(p.name, p.value, buffers.emplace_back()));
  directory.tensors("model.safetensors", tensors, {{"format", "crate"}, {"family", name_of(model.config().family)}});
}

void save_model(const std::string& folder, const LanguageModel& model,
                const std::map<std::string, std::string>& extra) {
  DirectoryWriter directory(folder);
  put_model(directory, model);
  for (const auto& [name, content] : extra) directory.text(name, content);
  directory.commit();
}

void fill_parameters(LanguageModel& model, const ArrayMap& arrays, const std::string& where) {
  for (Param& p : model.store().all()) {
    const auto it = arrays.find(p.name);
    require(it != arrays.end(), "{} has no tensor {}; does its config.json belong to it?", where, p.name);
    std::vector<int64_t> shape;
    for (int i = 0; i < p.value.shape.rank(); ++i) shape.push_back(p.value.shape[i]);
    require(it->second.shape == shape, "{}: tensor {} must be {}, came {}", where, p.name, p.value.shape.str(),
            it->second.shape_str());
    read_into(p.value, it->second, where + ": tensor " + p.name);
  }
  for (const auto& [name, array] : arrays) {
    require(model.store().has(name), "{} has a tensor {} that this model does not know", where, name);
  }
  model.store().values_changed();
}

ModelConfig load_config(const std::string& folder) {
  const std::string path = DirectoryReader(folder).path("config.json");
  return config_from_json(read_text_file(path), path);
}

std::unique_ptr<LanguageModel> load_model(Device& device, const std::string& folder) {
  const DirectoryReader directory(folder);
  auto model = std::make_unique<LanguageModel>(device, load_config(folder));
  const std::string path = directory.path("model.safetensors");
  fill_parameters(*model, read_safetensors(path).tensors, path);
  return model;
}

}  // namespace crate
