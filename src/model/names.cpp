#include "model/names.h"

#include <array>

namespace crate {
namespace {

struct Pair {
  std::string_view ours, official;
};

constexpr std::array<Pair, 4> outside = {{{"embed.tokens", "transformer.wte.weight"},
                                          {"embed.pos", "transformer.wpe.weight"},
                                          {"norm.scale", "transformer.ln_f.weight"},
                                          {"norm.shift", "transformer.ln_f.bias"}}};

constexpr std::array<Pair, 8> white = {{{"norm1.scale", "prenorm_1.weight"},
                                        {"norm1.shift", "prenorm_1.bias"},
                                        {"mssa.u", "attn.c_attn.weight"},
                                        {"mssa.w", "attn.c_proj.weight"},
                                        {"mssa.w_bias", "attn.c_proj.bias"},
                                        {"norm2.scale", "prenorm_2.weight"},
                                        {"norm2.shift", "prenorm_2.bias"},
                                        {"ista.dict", "ista.weight"}}};

constexpr std::array<Pair, 14> twin = {{{"norm1.scale", "ln_1.weight"},
                                        {"norm1.shift", "ln_1.bias"},
                                        {"mha.qkv", "attn.c_attn.weight"},
                                        {"mha.qkv_bias", "attn.c_attn.bias"},
                                        {"mha.w", "attn.c_proj.weight"},
                                        {"mha.w_bias", "attn.c_proj.bias"},
                                        {"norm2.scale", "ln_2.weight"},
                                        {"norm2.shift", "ln_2.bias"},
                                        {"mlp.w_in", "mlp.c_fc.weight"},
                                        {"mlp.b_in", "mlp.c_fc.bias"},
                                        {"mlp.w_out", "mlp.c_proj.weight"},
                                        {"mlp.b_out", "mlp.c_proj.bias"},
                                        {"gamma1", "gamma1"},
                                        {"gamma2", "gamma2"}}};

template <class Table>
std::string find(const Table& table, std::string_view ours) {
  for (const Pair& pair : table) {
    if (pair.ours == ours) return std::string(pair.official);
  }
  return {};
}

}  // namespace

std::string official_name(Family family, std::string_view name) {
  constexpr std::string_view blocks = "blocks.";
  if (!name.starts_with(blocks)) return find(outside, name);
  const std::size_t dot = name.find('.', blocks.size());
  const std::string inner = is_white_box(family) ? find(white, name.substr(dot + 1)) : find(twin, name.substr(dot + 1));
  if (inner.empty()) return {};
  return "transformer.h." + std::string(name.substr(blocks.size(), dot + 1 - blocks.size())) + inner;
}

bool is_official_extra(std::string_view name) {
  return name == "lm_head.weight" || name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
}

}  // namespace crate
