// Sizes of the papers: CRATE-LM and its GPT twin, arXiv 2410.16443 (released code: vocabulary padded to 50,304, context
// 1024); CRATE-GPT2, arXiv 2311.13110; GPT-2, Radford et al. 2019. `tiny` and `small` read bytes.
#include "model/presets.h"

#include "base/error.h"

namespace crate {
namespace {

struct Size {
  const char* suffix;
  int64_t dim, heads, layers, vocab, context;
  bool bias = true;
};

struct Row {
  Family family;
  std::vector<Size> sizes;
};

constexpr int64_t padded = 50304;

std::vector<Row> table() {
  const std::vector<Size> bytes = {
      {"tiny", 128, 4, 4, 257, 128}, {"small", 256, 8, 6, 257, 256}, {"bench", 384, 6, 6, 257, 256}};
  const std::vector<Size> paper = {{"1l", 128, 4, 1, padded, 1024},
                                   {"2l", 128, 4, 2, padded, 1024},
                                   {"3l", 128, 4, 3, padded, 1024},
                                   {"6l", 768, 12, 6, padded, 1024},
                                   {"12l", 768, 12, 12, padded, 1024}};
  // The published sizes of the twins come out without biases, the default of nanoGPT's training configuration.
  std::vector<Size> paper_twins = paper;
  for (Size& size : paper_twins) size.bias = false;
  const std::vector<Size> crate_gpt = {{"base", 768, 12, 12, padded, 1024}, {"large", 1280, 20, 36, padded, 1024}};
  const std::vector<Size> gpt2 = {{"base", 768, 12, 12, 50257, 1024},
                                  {"medium", 1024, 16, 24, 50257, 1024},
                                  {"large", 1280, 20, 36, 50257, 1024},
                                  {"xl", 1600, 25, 48, 50257, 1024}};
  std::vector<Row> rows = {
      {Family::crate_gpt, crate_gpt}, {Family::crate_lm, paper}, {Family::gpt2, gpt2}, {Family::gpt_relu, paper_twins}};
  for (Row& row : rows) row.sizes.insert(row.sizes.end(), bytes.begin(), bytes.end());
  return rows;
}

std::string full_name(const Row& row, const Size& size) { return std::string(name_of(row.family)) + "-" + size.suffix; }

}  // namespace

ModelConfig preset(std::string_view name) {
  std::string known;
  for (const Row& row : table()) {
    for (const Size& size : row.sizes) {
      if (full_name(row, size) != name) {
        known += (known.empty() ? "" : ", ") + full_name(row, size);
        continue;
      }
      ModelConfig config;
      config.family = row.family;
      config.dim = size.dim;
      config.heads = size.heads;
      config.layers = size.layers;
      config.vocab = size.vocab;
      config.context = size.context;
      config.bias = size.bias;
      return config;
    }
  }
  fail("[presets] no preset '{}'; known: {}", name, known);
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Row& row : table()) {
    for (const Size& size : row.sizes) names.push_back(full_name(row, size));
  }
  return names;
}

}  // namespace crate
