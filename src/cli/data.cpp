// crate data: texts to token shards.
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/command.h"
#include "work/data/prepare.h"

namespace crate::cli {
namespace {

struct Options : Common {
  PrepareOptions prepare;
  std::string format = "nanogpt";
};

void run(Options& o) {
  o.prepare.format = o.format == "llmc" ? ShardFormat::llmc : ShardFormat::nanogpt;
  Progress progress;
  const PrepareResult r = prepare(o.prepare, [&](const PrepareProgress& p) {
    progress.show(fmt::format("[{}] {} {} of {}", bar(p.total > 0 ? p.done / p.total : 1, 20), p.phase,
                              short_number(p.done), short_number(p.total)));
  });
  progress.clear();
  if (o.json) {
    fmt::print("{}\n", nlohmann::json{{"out", o.prepare.out},
                                      {"tokenizer", r.tokenizer},
                                      {"vocab", r.vocab},
                                      {"documents", r.documents},
                                      {"train_tokens", r.train_tokens},
                                      {"val_tokens", r.val_tokens},
                                      {"train_bytes", r.train_bytes},
                                      {"val_bytes", r.val_bytes}}
                           .dump());
    return;
  }
  fmt::print("{}: {} documents, {} train and {} validation tokens, vocabulary {}, {:.2f} bytes a token\n",
             o.prepare.out, r.documents, r.train_tokens, r.val_tokens, r.vocab,
             static_cast<double>(r.train_bytes) / static_cast<double>(r.train_tokens));
}

}  // namespace

void add_data(CLI::App& app) {
  auto o = std::make_shared<Options>();
  CLI::App* c = add_command(
      app, "data", "prepare texts as token shards",
      "crate data wiki-train.txt.xz --val wiki-valid.txt --train-vocab 8192 --document-prefix '= ' -o out/wiki-data",
      *o);
  c->add_option("train", o->prepare.train, "text, .gz, .xz, .zst, .jsonl files or folders")->required();
  c->add_option("--val", o->prepare.val, "texts for validation (default: every so many-th document)");
  c->add_option("--val-fraction", o->prepare.val_fraction, "of the documents, when there is no --val")
      ->capture_default_str();
  c->add_option("--tokenizer", o->prepare.tokenizer,
                "bytes, a tokenizer.json, or a folder with one or with GPT-2's files")
      ->capture_default_str();
  c->add_option("--train-vocab", o->prepare.train_vocab, "learn a byte-level BPE vocabulary of this size")
      ->check(CLI::Range(257, 65536));
  c->add_option("--json-field", o->prepare.reading.json_field, "of .jsonl: the field that holds the text")
      ->capture_default_str();
  c->add_option("--document-prefix", o->prepare.reading.document_prefix,
                "plain text: a line beginning so starts a document");
  c->add_option("--format", o->format, "of the shards: nanogpt or llmc")
      ->capture_default_str()
      ->check(CLI::IsMember({"nanogpt", "llmc"}));
  c->add_flag("--force", o->prepare.force, "replace what the folder holds");
  c->add_option("-o,--out", o->prepare.out, "folder to write")->required();
  c->callback([o] { run(*o); });
}

}  // namespace crate::cli
