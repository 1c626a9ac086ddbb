// names: what the authors' code calls our parameters. One table a family serves import, export and printed names.
//   crate-gpt, crate-lm   crate-lm/crate-lm, crate.py and crate_overcomplete.py
//   gpt2, gpt-relu        nanoGPT and its descendants: crate-lm/crate-lm, gpt.py; RobinWu218/ToST, model_TSSA.py
//   crate, crate-mae      Ma-Lab-Berkeley/CRATE, model/crate.py and model/crate_ae
//   crate-alpha           UCSC-VLAA/CRATE-alpha, torch_inference
//   vit, vit-mae          timm's VisionTransformer; facebookresearch/mae
// A product's weight is (out, in) on both sides. What else differs in layout stands in the table.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "tensor/tensor.h"

namespace crate {

/// How the authors lay a tensor of ours out.
enum class Layout : uint8_t {
  same,
  leading_ones,  // (d) as (1, 1, d), (n, d) as (1, n, d)
  kernel,        // patches (d, c r s) as (d, c, r, s)
  transposed,    // dictionaries (m, d) as (d, m)
};

/// A parameter here and there; "{i}" stands for the number of the layer.
struct NamePair {
  const char* ours;      // "blocks.{i}.mssa.u"
  const char* official;  // "transformer.h.{i}.attn.c_attn.weight"
  Layout layout = Layout::same;
};

std::span<const NamePair> name_table(Family family);

/// "blocks.3.mssa.u" -> "transformer.h.3.attn.c_attn.weight"; empty when the authors' code has no such parameter.
std::string official_name(Family family, std::string_view ours);
/// How the authors shape the parameter of that name, which has this shape here.
std::vector<int64_t> official_shape(const ModelConfig& config, std::string_view ours, const Shape& shape);
Layout layout_of(Family family, std::string_view ours);

/// The way back; empty when no parameter of ours has that name.
std::string our_name(Family family, std::string_view official);

}  // namespace crate
