// What is explained: texts and images, and the targets asked for.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/explanation.h"
#include "model/checkpoint.h"
#include "model/directory.h"
#include "work/explain/atom_notes.h"
#include "work/explain/graph_file.h"
#include "work/image/augment.h"

namespace crate::cli {
namespace {

/// The lines of classes.txt in the model directory, when it is there.
std::vector<std::string> classes_of(const std::string& folder, int64_t count) {
  const DirectoryReader directory(folder);
  std::vector<std::string> out;
  if (directory.has("classes.txt")) {
    const std::string text = read_text_file(directory.path("classes.txt"));
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      out.push_back(shown(text.substr(begin, end - begin)));
      begin = end + 1;
    }
  }
  for (auto i = static_cast<int64_t>(out.size()); i < count; ++i) out.push_back(fmt::format("class {}", i));
  return out;
}

int64_t number_in(const std::string& text) {
  const bool is_number = text.size() > 1 && text.size() < 12 && text[0] == '#' &&
                         text.find_first_not_of("0123456789", 1) == std::string::npos;
  return is_number ? std::stoll(text.substr(1)) : -1;
}

int64_t score_named(const Input& input, const std::string& text, const char* option) {
  if (const int64_t number = number_in(text); number >= 0) return number;
  if (!input.tokenizer) {
    const int64_t classes = input.model->config().image.classes;
    for (int64_t i = 0; i < classes; ++i) {
      if (input.labels.score(i) == text) return i;
    }
    fail("{} names no class of the model: '{}'; give it as #NUMBER", option, text);
  }
  const std::vector<int32_t> tokens = input.tokenizer->encode(text);
  require(tokens.size() == 1, "{} must be one token, but '{}' is {}: {}; give one of them as #NUMBER", option, text,
          tokens.size(), fmt::join(tokens, " "));
  return tokens[0];
}

/// What can be asked of a model that gives no scores.
[[noreturn]] void fail_without_scores(const ModelConfig& c) {
  const char* what = is_autoencoder(c.family) ? "an auto-encoder" : "a model without classes";
  const char* site = is_white_box(c.family) ? "ista.code" : "mlp.hidden";
  fail(
      "a {} is {}: no class can be explained, but what made an atom active: --target blocks.L.{}:PATCH:ATOM with L in "
      "0..{}, PATCH in 0..{}{}, ATOM in 0..{}",
      name_of(c.family), what, site, c.layers - 1, c.image.patches() - (c.image.class_token ? 0 : 1),
      c.image.class_token ? " (0 is the class token)" : "", c.n_atoms() - 1);
}

}  // namespace

std::unique_ptr<AtomIndex> index_of(const std::string& folder, const std::string& file) {
  const std::string path = file.empty() ? (std::filesystem::path(folder) / "atoms.sqlite").string() : file;
  if (file.empty() && !std::filesystem::exists(path)) return nullptr;
  auto index = std::make_unique<AtomIndex>(path);
  const std::string hash = DirectoryReader(folder).hash("model.safetensors");
  if (file.empty() && index->about("hash") != hash) return nullptr;  // the model was trained on
  check_index(*index, hash, path);
  return index;
}

Target target_of(const Input& input, const std::string& target, const std::string& contrast) {
  Target out;
  if (target.starts_with("blocks.")) {
    require(contrast.empty(), "--contrast needs a token or class as target, not a unit");
    out.is_unit = true;
    out.unit = unit_of(target, input.model->config().family);
    return out;
  }
  if (!input.subject->has_scores()) fail_without_scores(input.model->config());
  if (!target.empty()) out.score = score_named(input, target, "--target");
  if (!contrast.empty()) out.contrast = score_named(input, contrast, "--contrast");
  return out;
}

void Input::change(const std::vector<Intervention>& changes) {
  for (Subject* s : {subject.get(), served.get()}) s->change({changes, 0});
}

Input text_input(Device& device, const std::string& folder, const std::vector<int32_t>& tokens) {
  require(!tokens.empty(), "nothing to explain: the prompt is empty");
  Input in;
  in.exact = std::make_unique<Device>(DeviceOptions{.kind = DeviceKind::ref});
  auto exact = load_language_model(*in.exact, folder), serving = load_language_model(device, folder);
  in.tokenizer = tokenizer_of(folder);
  in.subject = std::make_unique<LanguageSubject>(*exact, tokens);
  in.served = std::make_unique<LanguageSubject>(*serving, tokens);
  in.labels = labels_of(*in.tokenizer, tokens);
  in.recorded = {{"tokens", tokens}};
  in.model = std::move(exact);
  in.serving = std::move(serving);
  return in;
}

Input image_input(Device& device, const std::string& folder, const Image& image, const std::string& name) {
  Input in;
  in.exact = std::make_unique<Device>(DeviceOptions{.kind = DeviceKind::ref});
  auto exact = load_model(*in.exact, folder), serving = load_model(device, folder);
  require(is_image(exact->config().family), "{} reads text: give --prompt", folder);
  const ImageConfig& c = exact->config().image;
  const EvalTransform cover{.resize = 0, .height = static_cast<int>(c.height), .width = static_cast<int>(c.width)};
  const Image seen = transformed(with_channels(image, static_cast<int>(c.channels)), cover);
  Normalisation by{{c.mean.begin(), c.mean.end()}, {c.std.begin(), c.std.end()}};
  check(by, static_cast<int>(c.channels));
  std::vector<float> pixels(static_cast<std::size_t>(c.channels * c.height * c.width));
  normalise(seen, by, pixels.data());
  const Shape shape{1, c.channels, c.height, c.width};
  in.subject = std::make_unique<ImageSubject>(*exact, pixels, shape);
  in.served = std::make_unique<ImageSubject>(*serving, pixels, shape);
  in.labels.prompt = name;
  if (c.class_token) in.labels.inputs.emplace_back("class token");
  for (int64_t i = 0; i < c.patches(); ++i)
    in.labels.inputs.push_back(fmt::format("patch {},{}", i / c.columns(), i % c.columns()));
  in.labels.score = [classes = classes_of(folder, c.classes)](int64_t i) {
    return i < static_cast<int64_t>(classes.size()) ? classes[static_cast<std::size_t>(i)] : fmt::format("class {}", i);
  };
  in.recorded = {{"image_png", text_of_image(seen)}, {"name", name}};
  in.model = std::move(exact);
  in.serving = std::move(serving);
  return in;
}

}  // namespace crate::cli
