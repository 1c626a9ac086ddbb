#include "cli/explanation.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <numeric>

#include "cli/command.h"
#include "model/directory.h"

namespace crate::cli {
namespace {

/// A token may hold half a character.
bool is_utf8(const std::string& text) {
  try {
    return !nlohmann::json(text).dump().empty();
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

double total(const std::vector<double>& x) { return std::accumulate(x.begin(), x.end(), 0.0); }

std::string bar_of(double gives, double largest) {
  return bar(largest > 0 ? std::abs(gives) / largest : 0, 12).substr(0, 12);
}

std::string place(const Labels& labels, int64_t position) {
  return fmt::format("{} '{}'", position, labels.inputs[static_cast<std::size_t>(position)]);
}

/// Positions by what they give, the most first.
std::vector<std::size_t> by_size(const std::vector<double>& gives) {
  std::vector<std::size_t> order(gives.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return std::abs(gives[a]) > std::abs(gives[b]); });
  return order;
}

void print_sources(const Explanation& e, const Labels& labels, std::size_t rows) {
  std::vector<double> both(e.tokens.size());
  std::transform(e.tokens.begin(), e.tokens.end(), e.positions.begin(), both.begin(), std::plus<>());
  const auto order = by_size(both);
  fmt::print("\n{}\n", bold("input, with its positions"));
  const std::size_t count = std::min(rows, order.size());
  double rest = total(both);
  for (std::size_t i = 0; i < count; ++i) {
    const double gives = both[order[i]];
    rest -= gives;
    fmt::print("  {:>10.4f}  {}  {}\n", gives, bar_of(gives, std::abs(both[order[0]])),
               place(labels, static_cast<int64_t>(order[i])));
  }
  if (count < order.size()) fmt::print("  {:>10.4f}  {} others\n", rest, order.size() - count);
}

std::string looked_at(const Walk& walk, const Explanation& e, const Unit& head, const Labels& labels) {
  const std::vector<double> from = sources_of(walk, e.row, head);
  const auto order = by_size(from);
  std::string out;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, order.size()); ++i) {
    if (from[order[i]] == 0) break;
    out += fmt::format("{}{} ({:+.3f})", out.empty() ? "" : ", ", place(labels, static_cast<int64_t>(order[i])),
                       from[order[i]]);
  }
  return out;
}

void print_heads(const Walk& walk, const Explanation& e, const Labels& labels, std::size_t rows) {
  fmt::print("\n{}\n", bold("heads, and where they looked"));
  double rest = 0;
  for (std::size_t i = 0; i < e.heads.size(); ++i) {
    const Part& part = e.heads[i];
    if (i >= rows) {
      rest += part.gives;
      continue;
    }
    fmt::print("  {:>10.4f}  {}  block {} head {} at {}: {}\n", part.gives,
               bar_of(part.gives, std::abs(e.heads[0].gives)), part.unit.layer, part.unit.index,
               place(labels, part.unit.position), looked_at(walk, e, part.unit, labels));
  }
  if (e.heads.size() > rows) fmt::print("  {:>10.4f}  {} others\n", rest, e.heads.size() - rows);
}

void print_atoms(const Explanation& e, const Labels& labels, std::size_t rows, const char* kind) {
  fmt::print("\n{}\n", bold(fmt::format("{}s", kind)));
  double rest = 0;
  for (std::size_t i = 0; i < e.atoms.size(); ++i) {
    const Part& part = e.atoms[i];
    if (i >= rows) {
      rest += part.gives;
      continue;
    }
    const std::string name = labels.atom ? labels.atom(part.unit.layer, part.unit.index) : "";
    fmt::print("  {:>10.4f}  {}  block {} {} {} = {:.3f} at {}{}{}\n", part.gives,
               bar_of(part.gives, std::abs(e.atoms[0].gives)), part.unit.layer, kind, part.unit.index, part.value,
               place(labels, part.unit.position), name.empty() ? "" : "  ", name);
  }
  if (e.atoms.size() > rows) fmt::print("  {:>10.4f}  {} others\n", rest, e.atoms.size() - rows);
}

/// What the sums are compared with, and what the serving forward computed.
void print_served(const ExplainedInput& x, const Walk& walk) {
  for (const Intervention& c : walk.subject().changes().list)
    fmt::print("changed: {} {}\n", name_of(c.change), to_text(c));
  const Served& s = x.served;
  if (s.device == name_of(DeviceKind::ref)) {
    fmt::print("computed in float64, which is what serves on ref\n");
    return;
  }
  fmt::print(
      "computed in float64 from the weights that serve; the float32 forward on {} has {:.6f}, {:.1e} of it away; {} of "
      "{} entries of its codes are above 0 in one and not in the other\n",
      s.device, s.value, s.distance(x.explanation.value), s.differ, s.entries);
}

void print_sums(const ExplainedInput& x) {
  const Explanation& e = x.explanation;
  fmt::print("\n{}\n  {:<18} {:>12} {:>12} {:>12} {:>12} {:>10}\n", bold("it adds up"), "cut", "units", "stream",
             "biases", "sum", "residual");
  for (const Cut& c : e.cuts)
    fmt::print("  {:<18} {:>12.5f} {:>12.5f} {:>12.5f} {:>12.5f} {:>10.1e}\n", c.at, c.units, c.stream, c.biases,
               c.sum(), c.residual);
  const auto kept = std::count(x.graph.keep.begin(), x.graph.keep.end(), 1);
  const auto links = std::count(x.graph.keep_edge.begin(), x.graph.keep_edge.end(), 1);
  fmt::print(
      "  largest residual {:.1e} of the target, {:.1e} of what is summed; graph of {} units and {} effects ({} before "
      "pruning), effects into a unit sum to "
      "it to {:.1e}; no error nodes\n",
      e.residual(), e.off(), kept, links, x.graph.all.edges.size(), x.graph.all.residual());
}

}  // namespace

std::string shown(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  if (is_utf8(out)) return out;
  std::string escaped;
  for (const char c : out) {
    if (static_cast<unsigned char>(c) < 0x80)
      escaped += c;
    else
      escaped += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return escaped;
}

Labels labels_of(const Tokenizer& tokenizer, const std::vector<int32_t>& tokens) {
  Labels labels;
  const auto text_of = [&tokenizer](int64_t token) {
    if (token >= tokenizer.vocab_size()) return fmt::format("#{}", token);
    const std::string text = shown(tokenizer.bytes_of(static_cast<int32_t>(token)));
    return text.empty() ? std::string("(document)") : text;
  };
  for (const int32_t t : tokens) labels.inputs.push_back(text_of(t));
  for (const std::string& input : labels.inputs) labels.prompt += input;
  labels.score = text_of;
  return labels;
}

Provenance provenance_of(const std::string& model_folder, const std::string& device) {
  const DirectoryReader directory(model_folder);
  std::filesystem::path path(model_folder);
  if (!path.has_filename()) path = path.parent_path();
  return {path.filename().string(), directory.hash("model.safetensors"), directory.hash("config.json"), device};
}

ExplainedInput explain_input(const Walk& walk, const Input& input, const GraphOptions& options,
                             const Provenance& provenance) {
  ExplainedInput out{served_by(*input.served, walk), explain(walk, 0), {}, {}};
  out.graph = graph_of(edges_among(walk, out.explanation, units_of(walk, out.explanation, options.top)),
                       options.node_threshold, options.edge_threshold);
  out.document =
      to_json({walk, out.explanation, out.graph, out.served, options}, provenance, input.labels, input.recorded);
  return out;
}

void print_explanation(const Walk& walk, const ExplainedInput& explained, const Labels& labels, int64_t rows) {
  const Explanation& e = explained.explanation;
  const ModelConfig& config = walk.subject().config();
  const auto count = static_cast<std::size_t>(rows);
  if (e.target.is_unit) {
    fmt::print("{} = {:.6f}\n", name_of(e.unit, config.family), e.value);
  } else {
    fmt::print("logit of '{}'", labels.score(e.target.score));
    if (!is_image(config.family)) fmt::print(" after {}", place(labels, e.target.position));
    if (e.target.contrast >= 0) fmt::print(", less that of '{}'", labels.score(e.target.contrast));
    fmt::print(" = {:.6f}   probability {:.4f}\n", e.value, e.probability);
  }
  print_served(explained, walk);
  const UnitMeaning meaning = meaning_of_units(config);
  fmt::print("{}: {} {}\n", name_of(config.family), meaning.what, meaning.exactness);
  print_sources(e, labels, count);
  print_heads(walk, e, labels, count);
  print_atoms(e, labels, count, meaning.name.c_str());
  double biases = 0;
  for (const auto& bias : e.biases) biases += bias.second;
  fmt::print("\n{}\n  {:>10.4f}  all together\n",
             bold(walk.subject().changes().list.empty() ? "biases" : "biases, and what changes put in"), biases);
  print_sums(explained);
}

void print_ablations(const std::vector<Ablation>& ablations, Family family) {
  const Agreement agreement = agreement_of(ablations);
  fmt::print("\n{}\n  {:<28} {:>12} {:>12}\n", bold("set to zero, one at a time, and run again"), "unit", "predicted",
             "actual");
  for (const Ablation& a : ablations)
    fmt::print("  {:<28} {:>12.5f} {:>12.5f}\n", name_of(a.unit, family), a.predicted, a.actual);
  fmt::print("  correlation {:.3f}, actual = {:.3f} predicted\n", agreement.correlation, agreement.slope);
}

std::string line_of(const Explanation& e, const Labels& labels) {
  std::string out =
      fmt::format("'{}'  logit {:.3f} p {:.3f}  from", labels.score(e.target.score), e.value, e.probability);
  const auto order = by_size(e.tokens);
  for (std::size_t i = 0; i < std::min<std::size_t>(3, order.size()); ++i)
    out += fmt::format(" {} ({:+.2f})", place(labels, static_cast<int64_t>(order[i])), e.tokens[order[i]]);
  out += "  by";
  for (std::size_t i = 0; i < std::min<std::size_t>(3, e.atoms.size()); ++i) {
    const Unit& u = e.atoms[i].unit;
    const std::string name = labels.atom ? labels.atom(u.layer, u.index) : "";
    out += fmt::format(" {}.{}@{}{} ({:+.2f})", u.layer, u.index, u.position, name.empty() ? "" : " " + name,
                       e.atoms[i].gives);
  }
  return out + fmt::format("  residual {:.1e}", e.residual());
}

nlohmann::json summary_of(const Explanation& e, const Labels& labels, Family family) {
  using nlohmann::json;
  const auto parts = [family](const std::vector<Part>& all) {
    json out = json::array();
    for (std::size_t i = 0; i < std::min<std::size_t>(10, all.size()); ++i)
      out.push_back({{"unit", name_of(all[i].unit, family)}, {"value", all[i].value}, {"gives", all[i].gives}});
    return out;
  };
  double biases = 0;
  for (const auto& bias : e.biases) biases += bias.second;
  return {{"token", e.target.score},       {"text", labels.score(e.target.score)},
          {"position", e.target.position}, {"logit", e.value},
          {"probability", e.probability},  {"tokens", e.tokens},
          {"positions", e.positions},      {"heads", parts(e.heads)},
          {"atoms", parts(e.atoms)},       {"biases", biases},
          {"residual", e.residual()}};
}

}  // namespace crate::cli
