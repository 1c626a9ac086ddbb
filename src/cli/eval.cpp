// crate eval: how well models predict a text, or name images; several models make a table.
#include "cli/eval.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/checkpoint.h"
#include "model/presets.h"

namespace crate::cli {
namespace {

struct Row {
  std::string folder;
  std::string family, called;
  int64_t parameters, cache_bytes;
  EvalResult result;
};

Row evaluate_one(const EvalCommand& o, const std::string& folder) {
  Device device(o.device_options(o.dtype));
  const auto model = load_language_model(device, folder);
  const auto tokenizer = tokenizer_of(folder);
  Tokens text = open_tokens(o.data, o.part, *tokenizer, {o.json_field, o.document_prefix});
  if (o.tail < 1) text = text.slice(static_cast<int64_t>(static_cast<double>(text.size()) * (1 - o.tail)), text.size());
  EvalOptions options = o.text;
  options.changes = o.changes.parse();
  Progress progress;
  options.progress = [&](int64_t done, int64_t total) {
    progress.show(fmt::format("[{}] {} of {} tokens", bar(static_cast<double>(done) / static_cast<double>(total), 20),
                              done, total));
  };
  const EvalResult result = evaluate(*model, *tokenizer, text, options);
  return {folder,
          name_of(model->config().family),
          called(model->config()),
          model->parameters(),
          DecodeState::bytes_per_token(model->config(), Dtype::f32),
          result};
}

nlohmann::json json_of(const Row& row) {
  const EvalResult& r = row.result;
  return {{"model", row.folder},
          {"family", row.family},
          {"loss", r.loss},
          {"perplexity", r.perplexity},
          {"bits_per_byte", r.bits_per_byte},
          {"tokens", r.tokens},
          {"bytes", r.bytes},
          {"tokens_per_second", r.tokens_per_second},
          {"code_nonzero", r.code_nonzero},
          {"parameters", row.parameters},
          {"cache_bytes_per_token", row.cache_bytes}};
}

void print_one(const Row& row) {
  const EvalResult& r = row.result;
  fmt::print("{}  {}\n", bold(row.called), row.folder);
  fmt::print("  loss           {:.4f} nats/token\n  perplexity     {:.3f}\n  bits per byte  {:.4f}\n", r.loss,
             r.perplexity, r.bits_per_byte);
  fmt::print("  tokens         {} ({} bytes), {} tokens/s\n", r.tokens, r.bytes, short_number(r.tokens_per_second));
  std::string layers;
  for (const double f : r.code_nonzero) layers += fmt::format(" {:.1f}", 100 * f);
  if (!layers.empty()) fmt::print("  non-zero codes, % a layer:{}\n", layers);
}

void print_table(const std::vector<Row>& rows) {
  fmt::print("{:<12} {:>11} {:>14} {:>14} {:>15} {:>12} {:>17}\n", "model", "parameters", "nats/token", "bits/byte",
             "non-zero codes", "tokens/s", "cache bytes/token");
  for (const Row& row : rows) {
    const EvalResult& r = row.result;
    fmt::print("{:<12} {:>11} {:>14.4f} {:>14.4f} {:>13.1f} % {:>12} {:>17}\n", row.called, row.parameters, r.loss,
               r.bits_per_byte, 100 * r.mean_nonzero(), short_number(r.tokens_per_second), row.cache_bytes);
  }
}

void run(const EvalCommand& o) {
  if (is_image(load_config(o.models.front()).family)) return eval_images(o);
  std::vector<Row> rows;
  for (const std::string& folder : o.models) rows.push_back(evaluate_one(o, folder));
  if (o.json) {
    nlohmann::json all = nlohmann::json::array();
    for (const Row& row : rows) all.push_back(json_of(row));
    fmt::print("{}\n", rows.size() == 1 ? all[0].dump() : nlohmann::json{{"models", all}}.dump());
  } else if (rows.size() == 1) {
    print_one(rows[0]);
  } else {
    print_table(rows);
  }
}

void add_text_options(CLI::App& c, EvalCommand& o) {
  c.add_option("--stride", o.text.stride, "text: how far windows advance; 0: the context, i.e. disjoint blocks")
      ->capture_default_str();
  c.add_option("--max-tokens", o.text.max_tokens, "text: only the first so many tokens; 0: all")->capture_default_str();
  c.add_option("--tail", o.tail, "text: only the last so large part of it, e.g. 0.1")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1.0));
  c.add_option("--json-field", o.json_field, "of .jsonl: the field that holds the text")->capture_default_str();
  c.add_option("--document-prefix", o.document_prefix, "plain text: a line beginning so starts a document");
  o.changes.add_to(c);
}

void add_image_options(CLI::App& c, EvalCommand& o) {
  c.add_option("--max-images", o.max_images, "images: so many, spread over the set; 0: all")->capture_default_str();
  c.add_option("--resize", o.resize, "images: the short side before the middle is cut out; -1: by the model's size")
      ->capture_default_str();
  c.add_option("--height", o.height, "images: rows, multiples of the patch; 0: the model's")->capture_default_str();
  c.add_option("--width", o.width, "images: columns, multiples of the patch; 0: the model's")->capture_default_str();
  c.add_option("--knn", o.neighbours, "images: name them by so many nearest training images too; 0: not")
      ->capture_default_str()
      ->check(not_negative());
  c.add_flag("--probe", o.probe, "images: learn a linear probe on the model's features too");
  c.add_option("--train-data", o.train_data, "images: what --knn and --probe learn from");
  c.add_option("--train-part", o.train_part, "images: the part of it")->capture_default_str();
}

}  // namespace

void add_eval(CLI::App& app) {
  auto o = std::make_shared<EvalCommand>();
  CLI::App* c =
      add_command(app, "eval", "how well models predict a text, or name the images of a set",
                  "crate eval out/demo-crate-lm out/demo-gpt2 --data data/tinyshakespeare.txt --tail 0.1", *o);
  c->add_option("models", o->models, "model directories; several make a table")->required();
  c->add_option("--data", o->data,
                "text, shards (.bin) or a folder prepared by crate data; images: a folder or tar of "
                "class folders, IDX or CIFAR files, a list, synthetic:N")
      ->required();
  c->add_option("--part", o->part, "of a prepared folder or an image set: train or val")->capture_default_str();
  c->add_option("--batch", o->text.batch, "windows, or images, at a time")->capture_default_str()->check(positive());
  c->add_option("--dtype", o->dtype, "f32, or what products read: bf16, int8")->capture_default_str();
  add_text_options(*c, *o);
  add_image_options(*c, *o);
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
