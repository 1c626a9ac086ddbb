#include "work/steer/intervention.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "tensor/device.h"

namespace crate {
namespace {

int64_t parse_index(std::string_view text, std::string_view where) {
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size() && value >= 0,
          "{}: expected a number from 0 on, came '{}'", where, text);
  return value;
}

double parse_value(std::string_view text, std::string_view where) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size() && !text.empty(),
          "{}: expected =VALUE with a number, came '{}'", where, text);
  return value;
}

std::string ranges_text(const std::vector<IndexRange>& ranges) {
  std::string out;
  for (const IndexRange& r : ranges) {
    if (!out.empty()) out += ',';
    out += r.from == r.to ? fmt::format("{}", r.from) : fmt::format("{}-{}", r.from, r.to);
  }
  return out;
}

bool in(const std::vector<IndexRange>& ranges, int64_t i) {
  return std::any_of(ranges.begin(), ranges.end(), [i](const IndexRange& r) { return r.has(i); });
}

// SITE:ATOMS, SITE:POSITIONS:ATOMS or SITE:ATOMS@POSITIONS.
Intervention parse_target(std::string_view text, std::string_view whole) {
  Intervention out;
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    out.positions = parse_ranges(text.substr(at + 1), whole);
    text = text.substr(0, at);
  }
  const auto colon = text.find(':');
  require(colon != std::string_view::npos && colon > 0,
          "'{}': expected SITE:ATOMS[@POSITIONS][=VALUE], e.g. blocks.3.ista.code:205=2.5", whole);
  out.site = text.substr(0, colon);
  std::string_view atoms = text.substr(colon + 1);
  if (const auto second = atoms.find(':'); second != std::string_view::npos) {
    require(out.positions.empty(), "'{}' names its positions twice", whole);
    out.positions = parse_ranges(atoms.substr(0, second), whole);
    atoms = atoms.substr(second + 1);
  }
  out.atoms = parse_ranges(atoms, whole);
  return out;
}

template <class T> T changed(Change change, T x, T value) {
  switch (change) {
    case Change::scale:
      return x * value;
    case Change::set:
      return value;
    case Change::add:
      return x + value;
  }
  return x;
}

template <class T> void apply(const Intervention& c, int64_t first, const Tensor& t) {
  const int64_t width = t.cols(), n = t.shape.rank() > 1 ? t.shape[-2] : 1;
  for (int64_t row = 0; row < t.rows(); ++row) {
    if (!c.positions.empty() && !in(c.positions, first + row % n)) continue;
    T* x = t.as<T>() + row * width;
    for (const IndexRange& r : c.atoms) {
      for (int64_t i = r.from; i <= r.to; ++i) x[i] = changed(c.change, x[i], static_cast<T>(c.value));
    }
  }
}

}  // namespace

const char* name_of(Change change) {
  switch (change) {
    case Change::scale:
      return "scale";
    case Change::set:
      return "set";
    case Change::add:
      return "add";
  }
  return "";
}

Change change_named(std::string_view name) {
  for (const Change change : {Change::scale, Change::set, Change::add}) {
    if (name == name_of(change)) return change;
  }
  fail("'{}' is no change of an atom; there are scale, set and add", name);
}

std::vector<IndexRange> parse_ranges(std::string_view text, std::string_view where) {
  std::vector<IndexRange> out;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.size(), text.find(',', begin));
    const std::string_view part = text.substr(begin, end - begin);
    const auto dash = part.find('-');
    const int64_t from = parse_index(part.substr(0, dash), where);
    const int64_t to = dash == std::string_view::npos ? from : parse_index(part.substr(dash + 1), where);
    require(from <= to, "{}: the range {} runs backwards", where, part);
    out.push_back({from, to});
    begin = end + 1;
  }
  return out;
}

Intervention parse_intervention(Change change, std::string_view text) {
  const auto equals = text.find('=');
  require(equals != std::string_view::npos, "'{}': expected =VALUE at the end, e.g. blocks.3.ista.code:205=2.5", text);
  Intervention out = parse_target(text.substr(0, equals), text);
  out.change = change;
  out.value = parse_value(text.substr(equals + 1), text);
  return out;
}

Intervention parse_ablation(std::string_view text) {
  require(text.find('=') == std::string_view::npos, "'{}': an ablation takes no value; scale, set or add do", text);
  return parse_target(text, text);
}

std::string to_text(const Intervention& c) {
  std::string out = c.site + ":" + ranges_text(c.atoms);
  if (!c.positions.empty()) out += "@" + ranges_text(c.positions);
  return out + fmt::format("={}", c.value);
}

int64_t site_width(const ModelConfig& config, std::string_view site) {
  if (site == "embed.out" || site == "head.in") return config.dim;
  const bool white = is_white_box(config.family);
  const char *attention = white ? "mssa" : "mha", *code = white ? "ista.code" : "mlp.hidden";
  constexpr std::string_view prefix = "blocks.";
  int64_t layer = -1;
  std::string_view rest;
  if (site.starts_with(prefix)) {
    const char* end = site.data() + site.size();
    const auto [after, error] = std::from_chars(site.data() + prefix.size(), end, layer);
    if (error == std::errc() && layer >= 0 && after != end && *after == '.')
      rest = {after + 1, static_cast<std::size_t>(end - after - 1)};
  }
  require(layer < config.layers, "no site {}: the model has layers 0 to {}", site, config.layers - 1);
  for (const char* stream : {"z_pre", "norm1.out", "z_mid", "norm2.out", "z_post"})
    if (rest == stream) return config.dim;
  if (rest == fmt::format("{}.coords", attention)) return (white ? 1 : 3) * config.attention_width();
  if (rest == fmt::format("{}.heads", attention)) return config.attention_width();
  if (rest == fmt::format("{}.out", attention)) return config.dim;
  if (rest == code) return config.n_atoms();
  if (rest == (white ? "ista.out" : "mlp.out")) return config.dim;
  fail(
      "no site {} that can be changed in a {}: there are embed.out, head.in and, in block i, blocks.i. followed by "
      "{}, z_pre, norm1.out, {}.coords, {}.heads, {}.out, z_mid, norm2.out, {}.out, z_post",
      site, name_of(config.family), code, attention, attention, attention, white ? "ista" : "mlp");
}

InterventionTap::InterventionTap(std::vector<Intervention> changes, const ModelConfig& config, Tap* listener)
    : changes_(std::move(changes)), listener_(listener) {
  for (const Intervention& c : changes_) {
    const int64_t width = site_width(config, c.site);
    for (const IndexRange& r : c.atoms) require(r.to < width, "{} has atoms 0 to {}, came {}", c.site, width - 1, r.to);
  }
}

bool InterventionTap::edits(std::string_view site) {
  return std::any_of(changes_.begin(), changes_.end(), [site](const Intervention& c) { return c.site == site; });
}

void InterventionTap::edit(std::string_view site, const Tensor& value) {
  for (const Intervention& c : changes_) {
    if (c.site != site) continue;
    if (value.dtype == Dtype::f32)
      apply<float>(c, first_, value);
    else
      visit_ref(value.dtype, [&](auto zero) { apply<decltype(zero)>(c, first_, value); });
  }
}

}  // namespace crate
