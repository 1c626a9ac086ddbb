// crate generate: text from a model, streamed.
#include "work/generate/generate.h"

#include <fmt/format.h>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/changes.h"
#include "cli/command.h"
#include "cli/explanation.h"
#include "model/checkpoint.h"
#include "work/explain/atom_notes.h"

namespace crate::cli {
namespace {

struct Options : Common {
  std::string model, prompt, dtype = "f32";
  std::vector<int32_t> prompt_tokens;
  bool no_cache = false, explain = false;
  GenerateOptions generate;
  ChangeOptions changes;
};

void run_tokens(const Options& o, LanguageModel& model, const GenerateOptions& options) {
  const auto made =
      continue_tokens(model, o.prompt_tokens, options, model.config().vocab, [](int32_t) { return true; });
  if (o.json)
    fmt::print("{}\n", nlohmann::json{{"tokens", made}}.dump());
  else
    fmt::print("{}\n", fmt::join(made, " "));
}

/// Every generated token from the window it was generated from, computed anew: the cache has no part in it.
nlohmann::json explain_tokens(const Options& o, const LanguageModel& model, const Tokenizer& tokenizer,
                              const GenerateResult& result) {
  nlohmann::json out = nlohmann::json::array();
  std::vector<int32_t> all = tokenizer.encode(o.prompt);
  if (all.empty()) all.push_back(tokenizer.separator());
  const auto context = static_cast<std::ptrdiff_t>(model.config().context);
  const auto index = index_of(o.model, "");
  Device device({.kind = DeviceKind::ref});  // explanations add up in float64
  const auto exact = load_language_model(device, o.model);
  for (const int32_t token : result.tokens) {
    const auto length = std::min<std::ptrdiff_t>(context, std::ssize(all));
    LanguageSubject subject(*exact, {all.end() - length, all.end()});
    subject.change({o.changes.parse(), std::ssize(all) - length});
    const Walk walk(subject, {{.score = token}});
    Labels labels = labels_of(tokenizer, {all.end() - length, all.end()});
    if (index) name_atoms(labels, *index, model.config().family);
    const Explanation e = explain(walk, 0);
    out.push_back(summary_of(e, labels, model.config().family));
    if (!o.json) fmt::print("{}\n", line_of(e, labels));
    all.push_back(token);
  }
  return out;
}

void run(const Options& o) {
  Device device(o.device_options(o.dtype));
  const auto model = load_language_model(device, o.model);
  GenerateOptions options = o.generate;
  options.seed = o.seed;
  options.cache = !o.no_cache;
  options.changes = o.changes.parse();
  require(!o.explain || o.prompt_tokens.empty(), "--explain needs a text: --prompt");
  if (!o.prompt_tokens.empty()) return run_tokens(o, *model, options);
  const auto tokenizer = tokenizer_of(o.model);
  const auto write = [](std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  if (!o.json) write(o.prompt);
  const GenerateResult r = generate(*model, *tokenizer, tokenizer->encode(o.prompt), options,
                                    o.json ? std::function<void(std::string_view)>{} : write);
  const double speed = static_cast<double>(r.tokens.size()) / r.seconds;
  if (o.json) {
    nlohmann::json out = {{"text", r.text},
                          {"tokens", r.tokens},
                          {"stopped", r.stopped},
                          {"seconds", r.seconds},
                          {"tokens_per_second", speed}};
    if (o.explain) out["explanations"] = explain_tokens(o, *model, *tokenizer, r);
    fmt::print("{}\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    write("\n");
    if (o.explain) explain_tokens(o, *model, *tokenizer, r);
    fmt::print(stderr, "({} tokens, {} tokens/s)\n", r.tokens.size(), short_number(speed));
  }
}

}  // namespace

void add_generate(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(app, "generate", "continue a text",
                            "crate generate out/demo-crate-lm --prompt 'ROMEO:' -n 300 --temperature 0.8", *o);
  c->add_option("model", o->model, "model directory")->required();
  c->add_option("--prompt", o->prompt, "the text to continue (empty: a new document)");
  c->add_option("--prompt-tokens", o->prompt_tokens,
                "token numbers instead of a text, e.g. 5,17,3; prints token numbers")
      ->delimiter(',');
  c->add_option("-n,--tokens", o->generate.tokens, "how many tokens at most")
      ->capture_default_str()
      ->check(not_negative());
  c->add_option("--temperature", o->generate.temperature, "below 1: bolder, above: wilder")->capture_default_str();
  c->add_option("--top-k", o->generate.top_k, "only the k most likely tokens (0: all)")->capture_default_str();
  c->add_option("--top-p", o->generate.top_p, "only the most likely tokens that together reach this probability")
      ->capture_default_str();
  c->add_flag("--greedy", o->generate.greedy, "always the most likely token");
  c->add_option("--stop", o->generate.stop, "end before this text appears (repeatable)")->expected(1)->take_all();
  c->add_flag("--no-cache", o->no_cache, "run the whole window for every token (same result, slower)");
  c->add_option("--dtype", o->dtype, "f32, or what products read: bf16, int8")->capture_default_str();
  c->add_flag("--explain", o->explain, "then say, a line a token, what gave most to it, and how well that adds up");
  o->changes.add_to(*c);
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
