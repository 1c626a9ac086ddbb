#include "work/explain/subject.h"

namespace crate {
namespace {

const MaeModel& encoder_of(Model& model) {
  const auto* encoder = dynamic_cast<MaeModel*>(&model);
  require(encoder != nullptr, "[explain] a {} reads no images", name_of(model.config().family));
  return *encoder;
}

}  // namespace

void Subject::change(AtomChanges changes) {
  for (const Intervention& c : changes.list) {
    const bool atoms = c.site.ends_with(".ista.code") || c.site.ends_with(".mlp.hidden");
    require(atoms, "[explain] explanations change atoms, blocks.i.{}, not {}",
            is_white_box(config().family) ? "ista.code" : "mlp.hidden", c.site);
  }
  changes_ = std::move(changes);
}

InterventionTap Subject::tap_for(Tap* listener) const {
  InterventionTap tap(changes_.list, config(), listener);
  tap.begin_at(changes_.first);
  return tap;
}

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
  auto out = std::make_unique<LanguageSubject>(model_, std::move(again), count);
  out->change(changes());
  return out;
}

std::vector<Source> LanguageSubject::sources(int64_t row, const Tensor& /*patches*/) const {
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

ImageSubject::ImageSubject(Model& model, std::vector<float> pixels, const Shape& shape)
    : model_(model),
      classifier_(dynamic_cast<VisionModel*>(&model)),
      blocks_(classifier_ != nullptr ? classifier_->blocks() : encoder_of(model).blocks()),
      pixels_(std::move(pixels)),
      shape_(shape) {
  require(shape_.rank() == 4 && shape_.numel() == static_cast<int64_t>(pixels_.size()) && !pixels_.empty(),
          "[explain] images must be (b, channels, height, width), came {} numbers as {}", pixels_.size(), shape_.str());
  const ImageConfig& c = model.config().image;
  require(shape_[2] == c.height && shape_[3] == c.width, "[explain] this model reads images of {} x {}, came {} x {}",
          c.height, c.width, shape_[2], shape_[3]);
}

Tensor ImageSubject::forward(Run& run) const {
  const Tensor images{const_cast<float*>(pixels_.data()), shape_, Dtype::f32};  // an input: nobody writes it
  if (has_scores()) return classifier_->logits(run, images);
  tokens_of_images(model_, run, images);
  return {};
}

std::unique_ptr<Subject> ImageSubject::repeated(int64_t row, int64_t count) const {
  const auto each = static_cast<std::ptrdiff_t>(pixels_.size()) / batch();
  const auto begin = pixels_.begin() + row * each;
  std::vector<float> again;
  for (int64_t i = 0; i < count; ++i) again.insert(again.end(), begin, begin + each);
  auto out = std::make_unique<ImageSubject>(model_, std::move(again), Shape{count, shape_[1], shape_[2], shape_[3]});
  out->change(changes());
  return out;
}

std::vector<Source> ImageSubject::sources(int64_t row, const Tensor& patches) const {
  std::vector<Source> out;
  const ParameterStore& store = model_.store();
  const int64_t before = store.has("embed.cls") ? 1 : 0, n = patches.shape[1];
  for (int64_t i = 0; i < n + before; ++i) {
    const int64_t patch = row * n + i - before;
    out.push_back({UnitKind::token, i, i,
                   i < before ? model_.store().at("embed.cls").value : patches.row_slice(patch, patch + 1)});
    if (config().image.positions == Positions::none) continue;
    out.push_back({UnitKind::position, i, i, model_.store().at("embed.pos").value.row_slice(i, i + 1)});
  }
  return out;
}

}  // namespace crate
