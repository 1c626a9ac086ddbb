#include "work/explain/walk.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "work/explain/numbers.h"

namespace crate {

/// Notes the tensors of the sites above as they come by.
class Walk::Listener final : public Tap {
 public:
  Listener(std::vector<BlockSeen>& blocks, Seen& head_in, Seen& patches)
      : blocks_(blocks), head_in_(head_in), patches_(patches) {}
  void listen_to(Run& run) { run_ = &run; }

  bool wants(std::string_view site) override { return place_of(site) != nullptr; }
  void see(std::string_view site, const Tensor& value) override {
    Seen& to = *place_of(site);
    to = {value, {}, run_->nodes()};
    if (!site.ends_with(".pattern")) return;
    to.value = run_->make(value.shape);  // it is shown for a moment only
    std::memcpy(to.value.data, value.data, value.bytes());
  }

 private:
  Seen* place_of(std::string_view site) {
    if (site == "head.in") return &head_in_;
    if (site == "embed.patches") return &patches_;
    constexpr std::string_view prefix = "blocks.";
    if (!site.starts_with(prefix)) return nullptr;
    std::size_t layer = 0;
    const char* end = site.data() + site.size();
    const auto [rest, error] = std::from_chars(site.data() + prefix.size(), end, layer);
    if (error != std::errc{} || layer >= blocks_.size()) return nullptr;
    BlockSeen& block = blocks_[layer];
    const std::string_view name(rest, static_cast<std::size_t>(end - rest));
    if (name == ".z_pre") return &block.z_pre;
    if (name == ".z_mid") return &block.z_mid;
    if (name == ".z_post") return &block.z_post;
    if (name == ".mssa.coords" || name == ".mha.coords") return &block.coords;
    if (name == ".mssa.pattern" || name == ".mha.pattern") return &block.pattern;
    if (name == ".mssa.heads" || name == ".mha.heads") return &block.heads;
    if (name == ".ista.code" || name == ".mlp.hidden") return &block.code;
    return nullptr;
  }

  std::vector<BlockSeen>& blocks_;
  Seen &head_in_, &patches_;
  Run* run_ = nullptr;
};

namespace {

/// Sets every number of a gradient that nobody wrote yet.
Tensor zeroed(Run& run, const Tensor& of) {
  const GradTo to = run.grad_to(of);
  if (!to.add) std::memset(to.to.data, 0, to.to.bytes());
  return to.to;
}

void add_number(const Tensor& t, int64_t i, double by) {
  visit_numbers(t.dtype, [&](auto zero) { t.as<decltype(zero)>()[i] += static_cast<decltype(zero)>(by); });
}

}  // namespace

double score_of(const Target& t, const Tensor& scores, int64_t row) {
  const int64_t n = scores.shape.rank() == 3 ? scores.shape[1] : 1, at = (row * n + t.position) * scores.cols();
  double value = number_at(scores, at + t.score);
  for (std::size_t c = 0; c < t.against.size(); ++c)
    value -= t.against[c] * number_at(scores, at + static_cast<int64_t>(c));
  return t.contrast < 0 ? value : value - number_at(scores, at + t.contrast);
}

Walk::Walk(const Subject& subject, std::vector<Target> targets)
    : subject_(subject),
      targets_(std::move(targets)),
      blocks_(static_cast<std::size_t>(subject.config().layers)),
      listener_(std::make_unique<Listener>(blocks_, head_in_, patches_)),
      tap_(subject.tap_for(listener_.get())),
      run_(subject.device(), {.record = true, .frozen = true, .tap = &tap_}) {
  require(static_cast<int64_t>(targets_.size()) == subject.batch(), "[explain] {} rows need {} targets, came {}",
          subject.batch(), subject.batch(), targets_.size());
  listener_->listen_to(run_);
  const Tensor scores = subject.forward(run_);
  aim(scores);
  seed(scores);
  run_.walk();
  collect();
}

Walk::~Walk() = default;

// Completes the targets and reads their values.
void Walk::aim(const Tensor& scores) {
  for (int64_t row = 0; row < std::ssize(targets_); ++row) {
    if (targets_[static_cast<std::size_t>(row)].is_unit)
      aim_at_unit(row);
    else
      aim_at_score(row, scores);
  }
}

void Walk::aim_at_unit(int64_t row) {
  const Unit& u = targets_[static_cast<std::size_t>(row)].unit;
  require(u.kind == UnitKind::atom && u.layer >= 0 && u.layer < layers(),
          "[explain] only atoms of the {} blocks can be targets", layers());
  const Tensor& code = block(u.layer).code.value;
  require(u.position < code.shape[1] && u.index < code.cols(),
          "[explain] the target unit lies outside the {} positions and {} atoms", code.shape[1], code.cols());
  values_.push_back(number_at(code, (row * code.shape[1] + u.position) * code.cols() + u.index));
  probabilities_.push_back(0);
}

void Walk::aim_at_score(int64_t row, const Tensor& scores) {
  require(static_cast<bool>(scores), "[explain] a {} without classes has no scores; expected an atom as target, as {}",
          name_of(subject_.config().family), name_of({UnitKind::atom, 0, 5, 17}, subject_.config().family));
  const int64_t n = scores.shape.rank() == 3 ? scores.shape[1] : 1, width = scores.cols();
  Target& t = targets_[static_cast<std::size_t>(row)];
  if (t.position < 0) t.position = n - 1;
  require(t.position < n, "[explain] position {} lies outside the input of {}", t.position, n);
  const std::vector<double> all = numbers_of(scores, (row * n + t.position) * width, width);
  const auto best = std::max_element(all.begin(), all.end());
  if (t.score < 0) t.score = best - all.begin();
  require(t.score < width && t.contrast < width, "[explain] target {} lies outside the {} scores",
          std::max(t.score, t.contrast), width);
  require(t.against.size() <= static_cast<std::size_t>(width), "[explain] {} shares for {} scores", t.against.size(),
          width);
  double total = 0;
  for (const double s : all) total += std::exp(s - *best);
  probabilities_.push_back(std::exp(all[static_cast<std::size_t>(t.score)] - *best) / total);
  values_.push_back(score_of(t, scores, row));
}

void Walk::seed(const Tensor& scores) {
  for (BlockSeen& b : blocks_) {
    for (const Seen* seen : {&b.z_pre, &b.heads, &b.z_mid, &b.code, &b.z_post}) run_.keep_grad(seen->value);
  }
  for (const Seen* seen : {&head_in_, &patches_}) {
    if (*seen) run_.keep_grad(seen->value);
  }
  for (std::size_t row = 0; row < targets_.size(); ++row) {
    const Target& t = targets_[row];
    if (t.is_unit) {
      const Tensor& code = block(t.unit.layer).code.value;
      add_number(zeroed(run_, code),
                 (static_cast<int64_t>(row) * code.shape[1] + t.unit.position) * code.cols() + t.unit.index, 1);
      continue;
    }
    const int64_t n = scores.shape.rank() == 3 ? scores.shape[1] : 1, width = scores.cols();
    const Tensor d = zeroed(run_, scores);
    const int64_t at = (static_cast<int64_t>(row) * n + t.position) * width;
    add_number(d, at + t.score, 1);
    if (t.contrast >= 0) add_number(d, at + t.contrast, -1);
    for (std::size_t c = 0; c < t.against.size(); ++c) add_number(d, at + static_cast<int64_t>(c), -t.against[c]);
  }
}

void Walk::collect() {
  for (BlockSeen& b : blocks_) {
    for (Seen* seen : {&b.z_pre, &b.heads, &b.z_mid, &b.code, &b.z_post}) seen->grad = run_.grad_of(seen->value);
  }
  for (Seen* seen : {&head_in_, &patches_}) {
    if (*seen) seen->grad = run_.grad_of(seen->value);
  }
}

}  // namespace crate
