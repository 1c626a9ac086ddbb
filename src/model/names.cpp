#include "model/names.h"

#include <algorithm>
#include <array>

namespace crate {
namespace {

// The final norm comes last: crate-gpt has none.
constexpr std::array<NamePair, 13> crate_names = {{
    {"embed.tokens", "transformer.wte.weight"},
    {"embed.pos", "transformer.wpe.weight"},
    {"blocks.{i}.norm1.scale", "transformer.h.{i}.prenorm_1.weight"},
    {"blocks.{i}.norm1.shift", "transformer.h.{i}.prenorm_1.bias"},
    {"blocks.{i}.mssa.u", "transformer.h.{i}.attn.c_attn.weight"},
    {"blocks.{i}.mssa.w", "transformer.h.{i}.attn.c_proj.weight"},
    {"blocks.{i}.mssa.w_bias", "transformer.h.{i}.attn.c_proj.bias"},
    {"blocks.{i}.norm2.scale", "transformer.h.{i}.prenorm_2.weight"},
    {"blocks.{i}.norm2.shift", "transformer.h.{i}.prenorm_2.bias"},
    {"blocks.{i}.ista.dict", "transformer.h.{i}.ista.weight"},
    {"head.weight", "lm_head.weight"},
    {"norm.scale", "transformer.ln_f.weight"},
    {"norm.shift", "transformer.ln_f.bias"},
}};

constexpr std::array<NamePair, 19> gpt_names = {{
    {"embed.tokens", "transformer.wte.weight"},
    {"embed.pos", "transformer.wpe.weight"},
    {"blocks.{i}.norm1.scale", "transformer.h.{i}.ln_1.weight"},
    {"blocks.{i}.norm1.shift", "transformer.h.{i}.ln_1.bias"},
    {"blocks.{i}.mha.qkv", "transformer.h.{i}.attn.c_attn.weight"},
    {"blocks.{i}.mha.qkv_bias", "transformer.h.{i}.attn.c_attn.bias"},
    {"blocks.{i}.mha.w", "transformer.h.{i}.attn.c_proj.weight"},
    {"blocks.{i}.mha.w_bias", "transformer.h.{i}.attn.c_proj.bias"},
    {"blocks.{i}.gamma1", "transformer.h.{i}.gamma1"},
    {"blocks.{i}.norm2.scale", "transformer.h.{i}.ln_2.weight"},
    {"blocks.{i}.norm2.shift", "transformer.h.{i}.ln_2.bias"},
    {"blocks.{i}.mlp.w_in", "transformer.h.{i}.mlp.c_fc.weight"},
    {"blocks.{i}.mlp.b_in", "transformer.h.{i}.mlp.c_fc.bias"},
    {"blocks.{i}.mlp.w_out", "transformer.h.{i}.mlp.c_proj.weight"},
    {"blocks.{i}.mlp.b_out", "transformer.h.{i}.mlp.c_proj.bias"},
    {"blocks.{i}.gamma2", "transformer.h.{i}.gamma2"},
    {"norm.scale", "transformer.ln_f.weight"},
    {"norm.shift", "transformer.ln_f.bias"},
    {"head.weight", "lm_head.weight"},
}};

constexpr std::array<NamePair, 20> crate_image_names = {{
    {"embed.patch_norm.scale", "to_patch_embedding.1.weight"},
    {"embed.patch_norm.shift", "to_patch_embedding.1.bias"},
    {"embed.patch", "to_patch_embedding.2.weight"},
    {"embed.patch_bias", "to_patch_embedding.2.bias"},
    {"embed.norm.scale", "to_patch_embedding.3.weight"},
    {"embed.norm.shift", "to_patch_embedding.3.bias"},
    {"embed.cls", "cls_token", Layout::leading_ones},
    {"embed.pos", "pos_embedding", Layout::leading_ones},
    {"blocks.{i}.norm1.scale", "transformer.layers.{i}.0.norm.weight"},
    {"blocks.{i}.norm1.shift", "transformer.layers.{i}.0.norm.bias"},
    {"blocks.{i}.mssa.u", "transformer.layers.{i}.0.fn.qkv.weight"},
    {"blocks.{i}.mssa.w", "transformer.layers.{i}.0.fn.to_out.0.weight"},
    {"blocks.{i}.mssa.w_bias", "transformer.layers.{i}.0.fn.to_out.0.bias"},
    {"blocks.{i}.norm2.scale", "transformer.layers.{i}.1.norm.weight"},
    {"blocks.{i}.norm2.shift", "transformer.layers.{i}.1.norm.bias"},
    {"blocks.{i}.ista.dict", "transformer.layers.{i}.1.fn.weight"},
    {"norm.scale", "mlp_head.0.weight"},
    {"norm.shift", "mlp_head.0.bias"},
    {"head.weight", "mlp_head.1.weight"},
    {"head.bias", "mlp_head.1.bias"},
}};

constexpr std::array<NamePair, 16> crate_alpha_names = {{
    {"embed.patch", "conv1.weight", Layout::kernel},
    {"embed.patch_bias", "conv1.bias"},
    {"embed.cls", "cls_token", Layout::leading_ones},
    {"embed.pos", "pos_embedding", Layout::leading_ones},
    {"blocks.{i}.norm1.scale", "transformer.layers.{i}.0.norm.weight"},
    {"blocks.{i}.norm1.shift", "transformer.layers.{i}.0.norm.bias"},
    {"blocks.{i}.mssa.u", "transformer.layers.{i}.0.fn.qkv.weight"},
    {"blocks.{i}.mssa.w", "transformer.layers.{i}.0.fn.to_out.0.weight"},
    {"blocks.{i}.norm2.scale", "transformer.layers.{i}.1.norm.weight"},
    {"blocks.{i}.norm2.shift", "transformer.layers.{i}.1.norm.bias"},
    {"blocks.{i}.ista.dict", "transformer.layers.{i}.1.fn.D", Layout::transposed},
    {"blocks.{i}.ista.dict_out", "transformer.layers.{i}.1.fn.D1", Layout::transposed},
    {"norm.scale", "mlp_head.0.weight"},
    {"norm.shift", "mlp_head.0.bias"},
    {"head.weight", "mlp_head.1.weight"},
    {"head.bias", "mlp_head.1.bias"},
}};

constexpr std::array<NamePair, 22> vit_names = {{
    {"embed.patch", "patch_embed.proj.weight", Layout::kernel},
    {"embed.patch_bias", "patch_embed.proj.bias"},
    {"embed.cls", "cls_token", Layout::leading_ones},
    {"embed.pos", "pos_embed", Layout::leading_ones},
    {"blocks.{i}.norm1.scale", "blocks.{i}.norm1.weight"},
    {"blocks.{i}.norm1.shift", "blocks.{i}.norm1.bias"},
    {"blocks.{i}.mha.qkv", "blocks.{i}.attn.qkv.weight"},
    {"blocks.{i}.mha.qkv_bias", "blocks.{i}.attn.qkv.bias"},
    {"blocks.{i}.mha.w", "blocks.{i}.attn.proj.weight"},
    {"blocks.{i}.mha.w_bias", "blocks.{i}.attn.proj.bias"},
    {"blocks.{i}.gamma1", "blocks.{i}.ls1.gamma"},
    {"blocks.{i}.norm2.scale", "blocks.{i}.norm2.weight"},
    {"blocks.{i}.norm2.shift", "blocks.{i}.norm2.bias"},
    {"blocks.{i}.mlp.w_in", "blocks.{i}.mlp.fc1.weight"},
    {"blocks.{i}.mlp.b_in", "blocks.{i}.mlp.fc1.bias"},
    {"blocks.{i}.mlp.w_out", "blocks.{i}.mlp.fc2.weight"},
    {"blocks.{i}.mlp.b_out", "blocks.{i}.mlp.fc2.bias"},
    {"blocks.{i}.gamma2", "blocks.{i}.ls2.gamma"},
    {"norm.scale", "norm.weight"},
    {"norm.shift", "norm.bias"},
    {"head.weight", "head.weight"},
    {"head.bias", "head.bias"},
}};

constexpr std::array<NamePair, 27> crate_mae_names = {{
    {"embed.patch", "patch_embed.proj.weight", Layout::kernel},
    {"embed.patch_bias", "patch_embed.proj.bias"},
    {"embed.cls", "cls_token", Layout::leading_ones},
    {"embed.pos", "decoder_pos_embed", Layout::leading_ones},  // their pos_embed takes no part
    {"blocks.{i}.norm1.scale", "blocks.{i}.layers.0.0.norm.weight"},
    {"blocks.{i}.norm1.shift", "blocks.{i}.layers.0.0.norm.bias"},
    {"blocks.{i}.mssa.u", "blocks.{i}.layers.0.0.fn.qkv.weight"},
    {"blocks.{i}.mssa.w", "blocks.{i}.layers.0.0.fn.to_out.0.weight"},
    {"blocks.{i}.mssa.w_bias", "blocks.{i}.layers.0.0.fn.to_out.0.bias"},
    {"blocks.{i}.norm2.scale", "blocks.{i}.layers.0.1.norm.weight"},
    {"blocks.{i}.norm2.shift", "blocks.{i}.layers.0.1.norm.bias"},
    {"blocks.{i}.ista.dict", "blocks.{i}.layers.0.1.fn.weight"},
    {"norm.scale", "norm.weight"},
    {"norm.shift", "norm.bias"},
    {"decoder.mask", "mask_token", Layout::leading_ones},
    {"decoder.blocks.{i}.norm1.scale", "decoder_blocks.{i}.layers.0.0.norm.weight"},
    {"decoder.blocks.{i}.norm1.shift", "decoder_blocks.{i}.layers.0.0.norm.bias"},
    {"decoder.blocks.{i}.linear", "decoder_blocks.{i}.layers.0.0.fn.weight"},
    {"decoder.blocks.{i}.norm2.scale", "decoder_blocks.{i}.layers.0.1.norm.weight"},
    {"decoder.blocks.{i}.norm2.shift", "decoder_blocks.{i}.layers.0.1.norm.bias"},
    {"decoder.blocks.{i}.mssa.u", "decoder_blocks.{i}.layers.0.1.fn.qkv.weight"},
    {"decoder.blocks.{i}.mssa.w", "decoder_blocks.{i}.layers.0.1.fn.to_out.0.weight"},
    {"decoder.blocks.{i}.mssa.w_bias", "decoder_blocks.{i}.layers.0.1.fn.to_out.0.bias"},
    {"decoder.norm.scale", "decoder_norm.weight"},
    {"decoder.norm.shift", "decoder_norm.bias"},
    {"decoder.pred", "decoder_pred.weight"},
    {"decoder.pred_bias", "decoder_pred.bias"},
}};

// What vit-mae has besides the names of vit: its decoder.
constexpr std::array<NamePair, 20> mae_decoder_names = {{
    {"decoder.embed", "decoder_embed.weight"},
    {"decoder.embed_bias", "decoder_embed.bias"},
    {"decoder.mask", "mask_token", Layout::leading_ones},
    {"decoder.pos", "decoder_pos_embed", Layout::leading_ones},
    {"decoder.blocks.{i}.norm1.scale", "decoder_blocks.{i}.norm1.weight"},
    {"decoder.blocks.{i}.norm1.shift", "decoder_blocks.{i}.norm1.bias"},
    {"decoder.blocks.{i}.mha.qkv", "decoder_blocks.{i}.attn.qkv.weight"},
    {"decoder.blocks.{i}.mha.qkv_bias", "decoder_blocks.{i}.attn.qkv.bias"},
    {"decoder.blocks.{i}.mha.w", "decoder_blocks.{i}.attn.proj.weight"},
    {"decoder.blocks.{i}.mha.w_bias", "decoder_blocks.{i}.attn.proj.bias"},
    {"decoder.blocks.{i}.norm2.scale", "decoder_blocks.{i}.norm2.weight"},
    {"decoder.blocks.{i}.norm2.shift", "decoder_blocks.{i}.norm2.bias"},
    {"decoder.blocks.{i}.mlp.w_in", "decoder_blocks.{i}.mlp.fc1.weight"},
    {"decoder.blocks.{i}.mlp.b_in", "decoder_blocks.{i}.mlp.fc1.bias"},
    {"decoder.blocks.{i}.mlp.w_out", "decoder_blocks.{i}.mlp.fc2.weight"},
    {"decoder.blocks.{i}.mlp.b_out", "decoder_blocks.{i}.mlp.fc2.bias"},
    {"decoder.norm.scale", "decoder_norm.weight"},
    {"decoder.norm.shift", "decoder_norm.bias"},
    {"decoder.pred", "decoder_pred.weight"},
    {"decoder.pred_bias", "decoder_pred.bias"},
}};

template <std::size_t a, std::size_t b>
constexpr std::array<NamePair, a + b> joined(const std::array<NamePair, a>& x, const std::array<NamePair, b>& y) {
  std::array<NamePair, a + b> all{};
  std::copy(x.begin(), x.end(), all.begin());
  std::copy(y.begin(), y.end(), all.begin() + a);
  return all;
}
constexpr auto vit_mae_names = joined(mae_decoder_names, vit_names);

constexpr std::string_view hole = "{i}";

// `pattern` with the number that `name` has in its place, written into `other`'s place; empty when they differ.
std::string translate(std::string_view name, std::string_view pattern, std::string_view other) {
  const std::size_t at = pattern.find(hole);
  if (at == std::string_view::npos) return name == pattern ? std::string(other) : "";
  const std::string_view head = pattern.substr(0, at), tail = pattern.substr(at + hole.size());
  if (name.size() <= head.size() + tail.size() || !name.starts_with(head) || !name.ends_with(tail)) return {};
  const std::string_view number = name.substr(head.size(), name.size() - head.size() - tail.size());
  const bool digits = std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || (number.size() > 1 && number[0] == '0')) return {};
  const std::size_t place = other.find(hole);
  return std::string(other.substr(0, place)) + std::string(number) + std::string(other.substr(place + hole.size()));
}

}  // namespace

std::span<const NamePair> name_table(Family family) {
  switch (family) {
    case Family::crate_gpt:
      return std::span(crate_names).first(crate_names.size() - 2);
    case Family::crate_lm:
      return crate_names;
    case Family::crate:
      return crate_image_names;
    case Family::crate_alpha:
      return crate_alpha_names;
    case Family::vit:
      return vit_names;
    case Family::crate_mae:
      return crate_mae_names;
    case Family::vit_mae:
      return vit_mae_names;
    default:
      return gpt_names;
  }
}

std::string official_name(Family family, std::string_view ours) {
  for (const NamePair& pair : name_table(family)) {
    if (std::string name = translate(ours, pair.ours, pair.official); !name.empty()) return name;
  }
  return {};
}

Layout layout_of(Family family, std::string_view ours) {
  for (const NamePair& pair : name_table(family)) {
    if (!translate(ours, pair.ours, pair.official).empty()) return pair.layout;
  }
  return Layout::same;
}

std::vector<int64_t> official_shape(const ModelConfig& config, std::string_view ours, const Shape& shape) {
  std::vector<int64_t> dims;
  for (int i = 0; i < shape.rank(); ++i) dims.push_back(shape[i]);
  switch (layout_of(config.family, ours)) {
    case Layout::same:
      break;
    case Layout::leading_ones:
      dims.insert(dims.begin(), 3 - dims.size(), 1);
      break;
    case Layout::kernel:
      return {shape[0], config.image.channels, config.image.patch, config.image.patch_columns()};
    case Layout::transposed:
      return {shape[1], shape[0]};
  }
  return dims;
}

std::string our_name(Family family, std::string_view official) {
  for (const NamePair& pair : name_table(family)) {
    if (std::string name = translate(official, pair.official, pair.ours); !name.empty()) return name;
  }
  return {};
}

}  // namespace crate
