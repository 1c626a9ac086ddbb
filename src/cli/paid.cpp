#include "cli/paid.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numbers>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/explanation.h"
#include "model/checkpoint.h"
#include "work/compress/stream_coder.h"
#include "work/explain/paid.h"

namespace crate::cli {
namespace {

using nlohmann::json;

constexpr double to_bits = 1 / std::numbers::ln2;

// What the codec would have a full window hold before byte `at`.
std::vector<int32_t> window_before(const std::string& text, int64_t at, const ModelConfig& config) {
  std::vector<int32_t> tokens;
  for (int64_t i = std::max<int64_t>(0, at - config.context + 1); i <= at; ++i)
    tokens.push_back(token_before(text, i, config.vocab));
  return tokens;
}

// "'e', 3 back" of a place in the window.
std::string place_of(const std::vector<int32_t>& tokens, int64_t position) {
  const int32_t token = tokens[static_cast<std::size_t>(position)];
  const int64_t back = static_cast<int64_t>(tokens.size()) - position;
  return token > 255 ? fmt::format("the beginning, {} back", back)
                     : fmt::format("'{}', {} back", shown(std::string(1, static_cast<char>(token))), back);
}

void print_parts(const std::vector<Part>& parts, const char* kind, const std::vector<int32_t>& tokens, int64_t rows) {
  fmt::print("\n{}\n", bold(fmt::format("{}s, bits", kind)));
  double rest = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Part& p = parts[i];
    if (static_cast<int64_t>(i) >= rows)
      rest += p.gives * to_bits;
    else
      fmt::print("  {:>9.4f}  block {} {} {} at {}\n", p.gives * to_bits, p.unit.layer, kind, p.unit.index,
                 place_of(tokens, p.unit.position));
  }
  if (static_cast<int64_t>(parts.size()) > rows)
    fmt::print("  {:>9.4f}  {} others\n", rest, static_cast<int64_t>(parts.size()) - rows);
}

void print(const Payment& paid, const Explanation& e, const std::vector<int32_t>& tokens, uint8_t byte,
           const PaidOptions& o) {
  fmt::print("byte {} of {}: '{}'\n", o.at, o.file, shown(std::string(1, static_cast<char>(byte))));
  fmt::print("the model pays {:.4f} bits, order 0 {:.4f}: saved {:.4f}\n", paid.model, paid.order0, paid.saved());
  fmt::print("  {:>9.4f}  what its parts give: the byte apart from the average byte of the file\n", paid.apart);
  fmt::print("  {:>9.4f}  the price of being decided, shared by all parts (undecided it would be {:.4f})\n",
             -paid.price, paid.entropy);
  fmt::print("  {:>9.4f}  what order 0 asks for the byte\n", paid.order0);
  print_parts(e.atoms, "atom", tokens, o.rows);
  print_parts(e.heads, "head", tokens, o.rows);
  fmt::print("\n{}\n  {:<18} {:>10} {:>10} {:>10} {:>10} {:>10}\n", bold("it adds up, bits"), "cut", "units", "stream",
             "biases", "sum", "residual");
  for (const Cut& c : e.cuts)
    fmt::print("  {:<18} {:>10.4f} {:>10.4f} {:>10.4f} {:>10.4f} {:>10.1e}\n", c.at, c.units * to_bits,
               c.stream * to_bits, c.biases * to_bits, c.sum() * to_bits, c.residual);
}

json to_json(const Payment& paid, const Explanation& e, uint8_t byte, const PaidOptions& o) {
  const auto parts = [&](const std::vector<Part>& all) {
    json out = json::array();
    for (std::size_t i = 0; i < std::min<std::size_t>(all.size(), static_cast<std::size_t>(o.rows)); ++i)
      out.push_back({{"layer", all[i].unit.layer},
                     {"index", all[i].unit.index},
                     {"position", all[i].unit.position},
                     {"bits", all[i].gives * to_bits}});
    return out;
  };
  return {{"file", o.file},
          {"at", o.at},
          {"byte", byte},
          {"model_bits", paid.model},
          {"order0_bits", paid.order0},
          {"saved_bits", paid.saved()},
          {"apart_bits", paid.apart},
          {"price_bits", paid.price},
          {"entropy_bits", paid.entropy},
          {"residual", e.residual()},
          {"atoms", parts(e.atoms)},
          {"heads", parts(e.heads)}};
}

}  // namespace

void explain_bits(Device& device, const PaidOptions& options) {
  PaidOptions o = options;
  const std::string text = read_text_file(o.file);
  const auto n = static_cast<int64_t>(text.size());
  require(n > 0, "{} is empty: it has no byte to explain", o.file);
  if (o.at < 0) o.at = n - 1;
  require(o.at >= 0 && o.at < n, "--at must be 0 to {}, a byte of {}, came {}", n - 1, o.file, o.at);
  const ModelConfig config = load_config(o.model);
  require(!is_image(config.family), "--bits-of belongs to models of text, {} reads images", o.model);
  require(config.vocab == 256 || config.vocab == 257,
          "--bits-of needs a model that reads bytes, {} has {} tokens; try models/wiki-bytes", o.model, config.vocab);
  const std::vector<double> shares = order0_shares(text, config.vocab);
  const std::vector<int32_t> tokens = window_before(text, o.at, config);
  const Input input = text_input(device, o.model, tokens);
  const auto byte = static_cast<uint8_t>(text[static_cast<std::size_t>(o.at)]);
  const Walk walk(*input.subject, {paid_target(byte, shares)});
  const Payment paid = payment_of(walk, 0);
  const Explanation e = explain(walk, 0);
  if (o.json)
    fmt::print("{}\n", to_json(paid, e, byte, o).dump(1, ' ', false, json::error_handler_t::replace));
  else
    print(paid, e, tokens, byte, o);
}

}  // namespace crate::cli
