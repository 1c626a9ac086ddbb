#include "work/page/explain_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.h"
#include "work/page/files.h"
#include "work/page/html.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr int deepest = 64;                                      // levels of a JSON file; ours has five
constexpr std::size_t most_nodes = 20000, most_links = 1000000;  // what a browser still shows

json parse_bounded(std::string_view text, const char* what) {
  bool too_deep = false;
  const json value = json::parse(
      text,
      [&](int depth, json::parse_event_t, json&) {
        too_deep |= depth > deepest;
        return !too_deep;
      },
      false);
  require(!too_deep, "[page] {} is nested deeper than {} levels", what, deepest);
  require(value.is_object(), "[page] {} is no JSON object; was the file cut short?", what);
  return value;
}

const json& part(const json& from, const char* name, bool (json::*is)() const noexcept, const char* kind) {
  const auto it = from.find(name);
  require(it != from.end() && (*it.*is)(), "[page] the graph needs '{}', {}", name, kind);
  return *it;
}

std::string text_of(const json& from, const char* name) {
  const auto it = from.find(name);
  if (it == from.end() || it->is_null()) return {};
  return it->is_string() ? it->get<std::string>() : it->dump(-1, ' ', false, json::error_handler_t::replace);
}

double number_of(const json& from, const char* name) {
  const auto it = from.find(name);
  return it != from.end() && it->is_number() ? it->get<double>() : std::nan("");
}

/// An object inside another; an empty one where there is none.
const json& object_of(const json& from, const char* name) {
  static const json nothing = json::object();
  const auto it = from.find(name);
  return it != from.end() && it->is_object() ? *it : nothing;
}

bool has(std::string_view text, std::string_view word) { return text.find(word) != std::string_view::npos; }

// The kinds of nodes the page tells apart; explain_data.js decides in the same way.
std::string kind_of(std::string type) {
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
  if (has(type, "error")) return "error";
  if (has(type, "logit") || has(type, "target")) return "target";
  if (has(type, "embedding") || has(type, "token") || has(type, "patch")) return "token";
  if (has(type, "head") || has(type, "attention")) return "head";
  if (has(type, "bias") || has(type, "constant") || has(type, "position")) return "constant";
  return "unit";
}

struct Row {
  std::size_t index;  // among the graph's nodes
  std::string id, name, kind, layer, token;
  double activation, influence, contribution;
};

/// How the patches of an image lie: patch (0, 0) stands at position `first`. No rows: the input is no image.
struct Grid {
  int64_t rows = 0, columns = 0, first = 0;
};

bool is_base64(std::string_view text) {
  return !text.empty() && text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") ==
                              std::string_view::npos;
}

/// From the names of the positions, when the input is an image.
Grid grid_of(const json& input, const std::vector<std::string>& positions) {
  Grid grid;
  if (!is_base64(text_of(input, "image_png"))) return grid;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    long row = 0, column = 0;
    if (std::sscanf(positions[i].c_str(), "patch %5ld,%5ld", &row, &column) != 2 || row < 0 || column < 0) continue;
    if (row == 0 && column == 0) grid.first = static_cast<int64_t>(i);
    grid.rows = std::max<int64_t>(grid.rows, row + 1);
    grid.columns = std::max<int64_t>(grid.columns, column + 1);
  }
  return grid;
}

class Page {
 public:
  Page(const json& graph, json atoms) : graph_(graph), atoms_(std::move(atoms)) {
    const json& metadata = part(graph, "metadata", &json::is_object, "an object");
    for (const json& token : part(metadata, "prompt_tokens", &json::is_array, "an array of texts")) {
      require(token.is_string(), "[page] metadata.prompt_tokens must hold texts");
      tokens_.push_back(token.get<std::string>());
    }
    const auto own = metadata.find("crate");
    crate_ = own != metadata.end() && own->is_object() ? *own : json::object();
    grid_ = grid_of(object_of(crate_, "input"), tokens_);
    const json& nodes = part(graph, "nodes", &json::is_array, "an array");
    const json& links = part(graph, "links", &json::is_array, "an array");
    require(nodes.size() <= most_nodes && links.size() <= most_links,
            "[page] {} nodes and {} links are more than a page shows ({} and {}); prune the graph", nodes.size(),
            links.size(), most_nodes, most_links);
    for (const json& node : nodes) rows_.push_back(row_of(node, rows_.size()));
    give_direct_effects(links);
    std::stable_sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) { return weight(a) > weight(b); });
  }

  std::string html() const {
    const std::string style = std::string(web_file("page.css")) + std::string(web_file("explain.css"));
    std::string script;
    for (const char* name :
         {"explain_data.js", "explain_graph.js", "explain_panel.js", "explain_pins.js", "explain.js"})
      script += web_file(name);
    json atoms = atoms_;
    if (grid_.rows > 0) atoms["image"] = {{"rows", grid_.rows}, {"columns", grid_.columns}, {"first", grid_.first}};
    return fill_template(web_file("explain.html"), {{"policy", content_policy(style, script)},
                                                    {"title", html_text(title())},
                                                    {"style", style},
                                                    {"script", script},
                                                    {"question", question()},
                                                    {"prompt", prompt()},
                                                    {"facts", facts()},
                                                    {"meaning", meaning()},
                                                    {"cuts", cuts()},
                                                    {"rows", table()},
                                                    {"footer", footer()},
                                                    {"graph", json_for_html(graph_)},
                                                    {"atoms", json_for_html(atoms)}});
  }

 private:
  static double weight(const Row& r) {
    if (r.kind == "target") return 1e300;
    return std::isfinite(r.contribution) ? std::abs(r.contribution) : -1;
  }

  Row row_of(const json& node, std::size_t index) const {
    require(node.is_object() && node.contains("node_id") && node["node_id"].is_string(),
            "[page] every node needs a text 'node_id'");
    Row r;
    r.index = index;
    r.id = node["node_id"].get<std::string>();
    r.kind = kind_of(text_of(node, "feature_type"));
    const json& ours = object_of(node, "crate");
    const std::string layer = ours.contains("block") ? text_of(ours, "block") : text_of(node, "layer");
    r.layer = r.kind == "target" ? "output" : layer == "E" ? "embed" : layer;
    const double at = number_of(node, "ctx_idx");
    const bool placed = at >= 0 && at < static_cast<double>(tokens_.size());
    if (placed)
      r.token = fmt::format("<span class=\"quiet\">{}</span> {}", static_cast<int64_t>(at),
                            token_html(tokens_[static_cast<std::size_t>(at)]));
    r.name = name_of(node, r.kind, placed ? &tokens_[static_cast<std::size_t>(at)] : nullptr);
    r.activation = number_of(node, "activation");
    r.influence = number_of(node, "influence");
    r.contribution = number_of(ours, "gives");
    if (r.kind == "target") r.contribution = std::nan("");
    return r;
  }

  // Where a node of ours stands is told beside it, so its label need not say it again.
  std::string name_of(const json& node, const std::string& kind, const std::string* token) const {
    const std::string given = text_of(node, "clerp"), type = text_of(node, "feature_type");
    const bool ours = node.contains("crate");
    if (ours && kind == "target" && target().contains("text")) return target_html();
    if (kind == "token" && token && (ours || given.empty())) return token_html(*token);
    if (!given.empty() && !(ours && given.starts_with("block "))) return html_text(given);
    const std::string what = kind == "unit" && !type.empty() ? type : kind;
    return html_text(what + " " + text_of(node, node.contains("feature") ? "feature" : "node_id"));
  }

  // Files of other programs tell no contributions: the direct effect on the target stands in, as in the script.
  void give_direct_effects(const json& links) {
    std::map<std::string, double> direct;
    std::map<std::string, std::string> kinds;
    for (const Row& r : rows_) kinds[r.id] = r.kind;
    for (const json& link : links) {
      require(link.is_object(), "[page] every link must be an object with source, target and weight");
      const auto target = kinds.find(text_of(link, "target"));
      const double w = number_of(link, "weight");
      if (target != kinds.end() && target->second == "target" && std::isfinite(w)) direct[text_of(link, "source")] += w;
    }
    for (Row& r : rows_) {
      const auto it = direct.find(r.id);
      if (!std::isfinite(r.contribution) && r.kind != "target" && it != direct.end()) r.contribution = it->second;
    }
  }

  const json& target() const { return object_of(crate_, "target"); }
  std::string target_html() const {
    const std::string contrast = text_of(target(), "contrast_text");
    return token_html(target_text()) + (contrast.empty() ? "" : " rather than " + token_html(contrast));
  }
  std::string target_text() const {
    const std::string text = text_of(target(), "text");
    if (!text.empty() || rows_.empty() || rows_[0].kind != "target") return text;
    return text_of(graph_.at("nodes").at(rows_[0].index), "clerp");
  }
  std::string title() const { return fmt::format("Why {}? · crate explain", visible_text(target_text())); }
  std::string question() const { return fmt::format("Why {}?", target_html()); }

  std::string prompt() const {
    if (grid_.rows > 0)
      return fmt::format(
          "<span class=\"picture\"><img alt=\"the explained image\" src=\"data:image/png;base64,{}\"><svg "
          "id=\"patches\" "
          "viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" aria-hidden=\"true\"></svg></span> → {}",
          text_of(object_of(crate_, "input"), "image_png"), grid_.columns, grid_.rows,
          token_html(target_text(), "aim"));
    std::string out;
    for (const std::string& token : tokens_) out += token_html(token) + "<wbr>";
    return out + " → " + token_html(target_text(), "aim");
  }

  double first_sum() const {
    const auto it = crate_.find("cuts");
    return it != crate_.end() && it->is_array() && !it->empty() && it->front().is_object()
               ? number_of(it->front(), "sum")
               : std::nan("");
  }

  static std::string fact(const std::string& name, const std::string& value, const char* mark = "") {
    return fmt::format("<div class=\"{}\"><dt>{}</dt><dd>{}</dd></div>", mark, name, value);
  }

  // Residuals above 1e-6 are marked.
  std::string facts() const {
    std::string out;
    const double value = number_of(target(), "value"), sum = first_sum();
    const double residual = number_of(crate_, "residual"), off = number_of(crate_, "off");
    if (std::isfinite(value)) out += fact("the model's score of the target", number_text(value, 6));
    if (std::isfinite(sum)) out += fact("sum of all contributions", number_text(sum, 6));
    if (std::isfinite(residual))
      out += fact("relative residual", number_text(residual, 2), std::abs(residual) <= 1e-6 ? "good" : "bad");
    if (std::isfinite(off))
      out +=
          fact("the same, against the size of the terms", number_text(off, 2), std::abs(off) <= 1e-6 ? "good" : "bad");
    if (crate_.contains("served") && crate_["served"].is_object())
      out += fact("the float32 forward that serves is off by", number_text(number_of(crate_["served"], "distance"), 2));
    const auto errors = std::count_if(rows_.begin(), rows_.end(), [](const Row& r) { return r.kind == "error"; });
    double mass = 0;
    for (const Row& r : rows_)
      mass += r.kind == "error" && std::isfinite(r.contribution) ? std::abs(r.contribution) : 0;
    out += errors == 0 ? fact("error mass", "0 <span class=\"small quiet\">(no error nodes)</span>", "good")
                       : fact("error mass", fmt::format("{} in {} nodes", number_text(mass), errors), "bad");
    out += fact("parts and links", fmt::format("{} · {}", rows_.size(), graph_.at("links").size()));
    return out;
  }

  std::string meaning() const {
    std::string out;
    if (crate_.contains("changes") && crate_["changes"].is_array()) {
      for (const auto& change : crate_["changes"])
        out += fmt::format("<p><strong>Changed.</strong> {} <code>{}</code></p>", html_text(text_of(change, "kind")),
                           html_text(text_of(change, "what")));
    }
    const std::string unit = text_of(crate_, "meaning");
    if (!unit.empty())
      out += fmt::format("<p><strong>What a unit is here.</strong> {}{}</p>", html_text(unit),
                         unit.ends_with('.') ? "" : ".");
    return out;
  }

  std::string cuts() const {
    const auto it = crate_.find("cuts");
    if (it == crate_.end() || !it->is_array() || it->empty()) return {};
    std::string rows;
    for (const json& cut : *it) {
      if (!cut.is_object()) continue;
      rows += fmt::format("<tr><th scope=\"row\">{}</th>", html_text(text_of(cut, "at")));
      for (const char* name : {"units", "stream", "biases"})
        rows += fmt::format("<td class=\"number\">{}</td>", signed_text(number_of(cut, name), 5));
      rows += fmt::format("<td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
                          number_text(number_of(cut, "sum"), 6), number_text(number_of(cut, "residual"), 2));
    }
    return "<details><summary>Each complete cut through the network sums to the target</summary><div "
           "class=\"scroll\"><table><thead><tr><th scope=\"col\">cut</th><th scope=\"col\" class=\"number\">units</th>"
           "<th scope=\"col\" class=\"number\">stream beside</th><th scope=\"col\" class=\"number\">biases</th>"
           "<th scope=\"col\" class=\"number\">sum</th><th scope=\"col\" class=\"number\">relative "
           "residual</th></tr></thead><tbody>" +
           rows + "</tbody></table></div></details>";
  }

  std::string table() const {
    double largest = 0;
    for (const Row& r : rows_) {
      if (r.kind != "target" && std::isfinite(r.contribution)) largest = std::max(largest, std::abs(r.contribution));
    }
    std::string out;
    for (const Row& r : rows_) {
      const char* sign = r.contribution < 0 ? "minus" : "plus";
      const double share =
          largest > 0 && std::isfinite(r.contribution) && r.kind != "target" ? std::abs(r.contribution) / largest : 0;
      out += fmt::format(
          "<tr data-node=\"{}\"><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"number\">{}</td><td "
          "class=\"number\">{}</td><td class=\"number {}\">{}</td><td class=\"share\"><svg width=\"100%\" "
          "height=\"12\" aria-hidden=\"true\"><rect class=\"{}\" width=\"{:.1f}%\" height=\"12\" "
          "rx=\"2\"/></svg></td></tr>\n",
          r.index, r.name, r.kind, html_text(r.layer), r.token, number_text(r.activation), number_text(r.influence),
          sign, signed_text(r.contribution), sign, 100 * share);
    }
    return out;
  }

  std::string footer() const {
    std::string out = "<p>";
    const std::string family = text_of(object_of(crate_, "model"), "family");
    const std::string model = text_of(graph_.at("metadata"), "scan");
    const std::string hash = text_of(object_of(crate_, "model"), "weights_sha256");
    if (!family.empty()) out += fmt::format("Family {}. ", html_text(family));
    if (!model.empty()) out += fmt::format("Model <code>{}</code>. ", html_text(model));
    if (!hash.empty()) out += fmt::format("Weights <code>{}</code>. ", html_text(hash));
    return out +
           "Attention patterns, normaliser scales and active sets are held at their values for this input; with them "
           "held the network is linear, and the contributions are its terms.</p>";
  }

  const json& graph_;
  json atoms_;
  Grid grid_;
  json crate_;
  std::vector<std::string> tokens_;
  std::vector<Row> rows_;
};

}  // namespace

std::string report_html(std::string_view graph_json, std::string_view atoms_json) {
  const json graph = parse_bounded(graph_json, "the graph");
  return Page(graph, parse_bounded(atoms_json, "what is known of the atoms")).html();
}

}  // namespace crate
