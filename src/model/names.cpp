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
  if (is_white_box(family))
    return std::span(crate_names).first(crate_names.size() - (family == Family::crate_gpt ? 2 : 0));
  return gpt_names;
}

std::string official_name(Family family, std::string_view ours) {
  for (const NamePair& pair : name_table(family)) {
    if (std::string name = translate(ours, pair.ours, pair.official); !name.empty()) return name;
  }
  return {};
}

std::string our_name(Family family, std::string_view official) {
  for (const NamePair& pair : name_table(family)) {
    if (std::string name = translate(official, pair.official, pair.ours); !name.empty()) return name;
  }
  return {};
}

}  // namespace crate
