// What is explained: texts and images, and the targets asked for.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/explanation.h"
#include "model/directory.h"
#include "model/models.h"
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
  if (!target.empty()) out.score = score_named(input, target, "--target");
  if (!contrast.empty()) out.contrast = score_named(input, contrast, "--contrast");
  return out;
}

Input text_input(std::unique_ptr<Model> model, const std::string& folder, const std::vector<int32_t>& tokens) {
  require(!tokens.empty(), "nothing to explain: the prompt is empty");
  Input in;
  std::unique_ptr<LanguageModel> text = as_language_model(std::move(model), folder);
  in.tokenizer = tokenizer_of(folder);
  in.subject = std::make_unique<LanguageSubject>(*text, tokens);
  in.labels = labels_of(*in.tokenizer, tokens);
  in.recorded = {{"tokens", tokens}};
  in.model = std::move(text);
  return in;
}

Input image_input(std::unique_ptr<Model> model, const std::string& folder, const Image& image,
                  const std::string& name) {
  Input in;
  std::unique_ptr<VisionModel> vision = as_vision_model(std::move(model), folder);
  const ImageConfig& c = vision->config().image;
  const EvalTransform cover{.resize = 0, .height = static_cast<int>(c.height), .width = static_cast<int>(c.width)};
  const Image seen = transformed(with_channels(image, static_cast<int>(c.channels)), cover);
  Normalisation by{{c.mean.begin(), c.mean.end()}, {c.std.begin(), c.std.end()}};
  check(by, static_cast<int>(c.channels));
  std::vector<float> pixels(static_cast<std::size_t>(c.channels * c.height * c.width));
  normalise(seen, by, pixels.data());
  in.subject = std::make_unique<ImageSubject>(*vision, std::move(pixels), Shape{1, c.channels, c.height, c.width});
  in.labels.prompt = name;
  if (c.class_token) in.labels.inputs.emplace_back("class token");
  for (int64_t i = 0; i < c.patches(); ++i)
    in.labels.inputs.push_back(fmt::format("patch {},{}", i / c.columns(), i % c.columns()));
  in.labels.score = [classes = classes_of(folder, c.classes)](int64_t i) {
    return i < static_cast<int64_t>(classes.size()) ? classes[static_cast<std::size_t>(i)] : fmt::format("class {}", i);
  };
  in.recorded = {{"image_png", text_of_image(seen)}, {"name", name}};
  in.model = std::move(vision);
  return in;
}

}  // namespace crate::cli
