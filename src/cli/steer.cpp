// crate steer: the same text with and without a change of atoms, side by side, and what the change costs elsewhere.
#include "work/steer/steer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/changes.h"
#include "cli/command.h"
#include "model/checkpoint.h"
#include "work/generate/generate.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string model, prompt, neutral, dtype = "f32";
  int64_t neutral_tokens = 512;
  double kl = 0;
  GenerateOptions generate;
  ChangeOptions changes;
};

// Of a file, else what the model itself writes when nothing is changed.
std::vector<int32_t> neutral_text(const Options& o, LanguageModel& model, const Tokenizer& tokenizer) {
  std::vector<int32_t> out = {tokenizer.separator()};
  if (!o.neutral.empty()) {
    tokenizer.encode(read_text_file(o.neutral), out);
    if (static_cast<int64_t>(out.size()) > o.neutral_tokens) out.resize(static_cast<std::size_t>(o.neutral_tokens));
    return out;
  }
  const GenerateOptions how{.tokens = o.neutral_tokens - 1, .temperature = 1, .seed = o.seed};
  const auto made = continue_tokens(model, out, how, tokenizer.vocab_size(), [](int32_t) { return true; });
  out.insert(out.end(), made.begin(), made.end());
  return out;
}

// The text in lines of at most `width` characters, broken at spaces where there are any.
std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  std::vector<std::string> lines(1);
  std::size_t shown = 0, space = std::string::npos;  // characters in the last line; its last space
  for (const char c : text) {
    if (c == '\n') {
      lines.emplace_back();
      shown = 0, space = std::string::npos;
      continue;
    }
    const bool begins = (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    if (begins && shown == width) {
      std::string rest;
      if (space != std::string::npos) {
        rest = lines.back().substr(space + 1);
        lines.back().resize(space);
      }
      lines.push_back(rest);
      shown = static_cast<std::size_t>(std::count_if(
          rest.begin(), rest.end(), [](char r) { return (static_cast<unsigned char>(r) & 0xC0) != 0x80; }));
      space = std::string::npos;
    }
    if (c == ' ') space = lines.back().size();
    lines.back() += c;
    if (begins) ++shown;
  }
  return lines;
}

void print_beside(const std::string& left, const std::string& right) {
  constexpr std::size_t width = 56;
  const auto a = wrapped(left, width), b = wrapped(right, width);
  fmt::print("{:<{}} | {}\n", "without", width, "with");
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i)
    fmt::print("{:<{}} | {}\n", i < a.size() ? a[i] : "", width, i < b.size() ? b[i] : "");
}

void run(const Options& o) {
  Device device(o.device_options(o.dtype));
  const auto model = load_language_model(device, o.model);
  const auto tokenizer = tokenizer_of(o.model);
  std::vector<Intervention> changes = o.changes.parse();
  require(!changes.empty(), "nothing to change: give --add SITE:ATOM=V, --scale, --set or --ablate");
  const std::vector<int32_t> neutral = neutral_text(o, *model, *tokenizer);
  if (o.kl > 0) changes = at_kl(*model, neutral, changes, o.kl);
  const double kl = mean_kl(*model, neutral, changes);
  GenerateOptions how = o.generate;
  how.seed = o.seed;
  const std::vector<int32_t> prompt = tokenizer->encode(o.prompt);
  const GenerateResult base = generate(*model, *tokenizer, prompt, how);
  how.changes = changes;
  const GenerateResult steered = generate(*model, *tokenizer, prompt, how);
  if (o.json) {
    nlohmann::json out = {{"base", {{"text", base.text}, {"tokens", base.tokens}}},
                          {"steered", {{"text", steered.text}, {"tokens", steered.tokens}}},
                          {"kl", kl},
                          {"neutral_tokens", neutral.size()},
                          {"neutral", o.neutral.empty() ? "the model's own text" : o.neutral},
                          {"changes", nlohmann::json::array()}};
    for (const Intervention& c : changes) out["changes"].push_back(to_text(c));
    fmt::print("{}\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  print_beside(o.prompt + base.text, o.prompt + steered.text);
  for (const Intervention& c : changes) {
    const char* word = c.change == Change::scale ? "times" : c.change == Change::set ? "held at" : "plus";
    const std::string text = to_text(c);
    fmt::print("\n{} {} {:.4g}", text.substr(0, text.rfind('=')), word, c.value);
  }
  fmt::print("\nKL {:.4f} nats a token on {} tokens of {}\n", kl, neutral.size(),
             o.neutral.empty() ? "the model's own text" : o.neutral);
}

}  // namespace

void add_steer(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "steer", "change atoms while a model writes, beside what it writes without",
                            "crate steer out/demo-crate-lm --add blocks.1.ista.code:7=3 --prompt 'ROMEO:'", *o);
  c->add_option("model", o->model, "model directory")->required();
  o->changes.add_to(*c);
  c->add_option("--prompt", o->prompt, "the text to continue (empty: a new document)");
  c->add_option("-n,--tokens", o->generate.tokens, "how many tokens at most")
      ->capture_default_str()
      ->check(not_negative());
  c->add_option("--temperature", o->generate.temperature, "below 1: bolder, above: wilder")->capture_default_str();
  c->add_option("--top-k", o->generate.top_k, "only the k most likely tokens (0: all)")->capture_default_str();
  c->add_option("--top-p", o->generate.top_p, "only the most likely tokens that together reach this probability")
      ->capture_default_str();
  c->add_flag("--greedy", o->generate.greedy, "always the most likely token");
  c->add_option("--kl", o->kl, "multiply what is added until the KL on the neutral text is so many nats a token")
      ->check(positive());
  c->add_option("--neutral", o->neutral, "text file to measure the KL on (default: what the model itself writes)");
  c->add_option("--neutral-tokens", o->neutral_tokens, "at most so many of its tokens")
      ->capture_default_str()
      ->check(CLI::Range(2, 1 << 20));
  c->add_option("--dtype", o->dtype, "f32, or what products read: bf16, int8")->capture_default_str();
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
