#include "work/explain/subject.h"

namespace crate {

LanguageSubject::LanguageSubject(LanguageModel& model, std::vector<int32_t> tokens, int64_t batch)
    : model_(model), tokens_(std::move(tokens)), batch_(batch) {
  require(batch_ >= 1 && !tokens_.empty() && static_cast<int64_t>(tokens_.size()) % batch_ == 0,
          "[explain] expected at least one token a row, came {} tokens in {} rows", tokens_.size(), batch_);
}

Tensor LanguageSubject::tensor() const {
  return {const_cast<int32_t*>(tokens_.data()), {batch_, positions()}, Dtype::i32};  // an input: nobody writes it
}

std::unique_ptr<Subject> LanguageSubject::repeated(int64_t row, int64_t count) const {
  const auto n = static_cast<std::ptrdiff_t>(positions());
  const auto begin = tokens_.begin() + row * n;
  std::vector<int32_t> again;
  for (int64_t i = 0; i < count; ++i) again.insert(again.end(), begin, begin + n);
  return std::make_unique<LanguageSubject>(model_, std::move(again), count);
}

std::vector<Source> LanguageSubject::sources(int64_t row) const {
  std::vector<Source> out;
  const Tensor table = model_.store().at("embed.tokens").value;
  for (int64_t i = 0; i < positions(); ++i) {
    const int32_t token = tokens_[static_cast<std::size_t>(row * positions() + i)];
    out.push_back({UnitKind::token, i, token, table.row_slice(token, token + 1)});
    if (!model_.store().has("embed.pos")) continue;
    const Tensor positions_table = model_.store().at("embed.pos").value;
    out.push_back({UnitKind::position, i, i, positions_table.row_slice(i, i + 1)});
  }
  return out;
}

}  // namespace crate
