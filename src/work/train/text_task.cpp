#include "work/train/text_task.h"

#include <algorithm>
#include <filesystem>
#include <numbers>
#include <span>

#include "base/error.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "work/eval/evaluate.h"
#include "work/measure/measure.h"
#include "work/train/init_from.h"

namespace crate {

std::string identity_of(const Tokens& corpus) {
  constexpr int64_t pieces = 256, longest = 256;
  const int64_t length = std::min(longest, corpus.size());
  std::vector<int32_t> piece(static_cast<std::size_t>(length));
  Sha256 hash;
  for (int64_t i = 0; i < pieces && length > 0; ++i) {
    corpus.copy((corpus.size() - length) * i / (pieces - 1), length, piece.data());
    hash.update(std::as_bytes(std::span(piece)));
  }
  return fmt::format("{} tokens, {}", corpus.size(), hash.hex());
}

TextTask::Corpora TextTask::open(const DataRecipe& data, const Tokenizer& tokenizer) {
  const ReadOptions reading{data.json_field, data.document_prefix};
  const Tokens train = open_tokens(data.train, "train", tokenizer, reading);
  if (!data.val.empty()) return {train, open_tokens(data.val, "val", tokenizer, reading)};
  if (std::filesystem::exists(std::filesystem::path(data.train) / "data.json"))
    return {train, open_tokens(data.train, "val", tokenizer)};
  const auto cut = static_cast<int64_t>(static_cast<double>(train.size()) * (1 - data.val_fraction));
  return {train.slice(0, cut), train.slice(cut, train.size())};
}

TextTask::TextTask(Device& device, const Recipe& recipe)
    : device_(device),
      recipe_(recipe),
      tokenizer_(load_tokenizer(recipe.data.tokenizer)),
      corpora_(open(recipe.data, *tokenizer_)),
      model_(device, recipe.model),
      identity_(identity_of(corpora_.train)) {
  require(tokenizer_->vocab_size() <= recipe.model.vocab,
          "the tokenizer has {} tokens, model.vocab is only {}; set model.vocab = {}", tokenizer_->vocab_size(),
          recipe.model.vocab, tokenizer_->vocab_size());
  check_length(corpora_.train, recipe.model.context);
  require(corpora_.val.size() > 1, "{} leaves no text for validation", corpora_.val.name());
  model_.set_recompute(recipe.train.recompute);
}

void TextTask::init() {
  model_.init(recipe_.train.seed);
  if (!recipe_.train.init_from.empty()) init_from(model_, recipe_.train.init_from);
}

void TextTask::load(const DirectoryReader& directory) { resume_model(model_, directory); }

void TextTask::put(DirectoryWriter& directory) {
  put_model(directory, model_);
  if (const std::string json = tokenizer_->to_json(); !json.empty()) directory.text("tokenizer.json", json);
}

TextTask::Rows TextTask::draw(int64_t step, int64_t rows, int64_t first_row) const {
  const int64_t n = recipe_.model.context;
  const Rng rng(recipe_.train.seed, Stream::data);
  Rows out{std::vector<int32_t>(static_cast<std::size_t>(rows * n)), {}};
  out.targets.resize(out.inputs.size());
  for (int64_t r = 0; r < rows; ++r) {
    const auto places = static_cast<uint64_t>(corpora_.train.size() - n);
    const auto at =
        static_cast<int64_t>(rng.below(places, static_cast<uint64_t>(step), static_cast<uint64_t>(first_row + r)));
    corpora_.train.copy(at, n, out.inputs.data() + r * n);
    corpora_.train.copy(at + 1, n, out.targets.data() + r * n);
  }
  return out;
}

double TextTask::learn(Run& run, const BatchPart& part, Sums& sums) {
  const int64_t rows = recipe_.train.batch / part.parts, n = recipe_.model.context;
  Rows batch = draw(part.step, rows, part.part * rows);
  for (const int32_t t : batch.targets) sums["bytes"] += static_cast<double>(tokenizer_->bytes_of(t).size());
  const CrossEntropy out =
      model_.loss(run, {batch.inputs.data(), {rows, n}, Dtype::i32}, {batch.targets.data(), {rows, n}, Dtype::i32},
                  1.0 / static_cast<double>(part.parts));
  run.backward(out.loss);
  return scalar(out.loss);
}

std::vector<Metric> TextTask::metrics(const Sums& sums, double loss_sum, double) {
  const auto it = sums.find("bytes");
  const double bytes = it == sums.end() ? 0 : it->second;
  const double nats = loss_sum * static_cast<double>(units_a_step());
  return {{"bits_per_byte", bytes > 0 ? nats / std::numbers::ln2 / bytes : 0}};
}

Validation TextTask::validate() {
  const EvalResult r = evaluate(model_, *tokenizer_, corpora_.val, {.max_tokens = recipe_.train.eval_tokens});
  return {r.loss, {{"bits_per_byte", r.bits_per_byte}, {"tokens", static_cast<double>(r.tokens)}}, r.code_nonzero};
}

std::optional<Measurement> TextTask::measure(int64_t samples) {
  if (corpora_.val.size() < recipe_.model.context) return std::nullopt;  // not one whole sample
  return crate::measure(model_, corpora_.val, {.samples = samples});
}

double TextTask::probe(int64_t step) {
  const int64_t n = recipe_.model.context;
  Rows row = draw(step, 1, 0);
  Run run(device_);
  return scalar(
      model_.loss(run, {row.inputs.data(), {1, n}, Dtype::i32}, {row.targets.data(), {1, n}, Dtype::i32}).loss);
}

}  // namespace crate
