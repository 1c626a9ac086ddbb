// online_learner: a white box that learns from the bytes coded so far, in the same way at both ends of an archive: no
// weights travel; or one that begins as a model both ends have and learns on. After every round of coding it takes some
// steps on windows of what is known by now, some the newest, which together are what came since the last round, some
// drawn from everything; what codes is the integer image (quantized.h) of the slow average of its weights.
//
// Sameness: the steps run on an exact device (tensor/exact.h). Two machines learn the same weights when they run the
// same binary with the same C library on x86-64 with AVX2, whatever their other instruction sets and thread counts;
// fingerprint() says whether they do.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "work/compress/integer_model.h"

namespace crate {

/// All that both ends must agree on; travels in the archive.
struct LearningOptions {
  int64_t dim = 128, heads = 4, layers = 4, context = 256;  // of a model that begins knowing nothing
  int64_t streams = 1;                                      // pieces of a segment that are coded side by side, at most
  int64_t chunk = 128;                                      // bytes of each that a window predicts, at most
  int64_t every = 128;                                      // bytes between two rounds of learning, at most
  int64_t batch = 2;                                        // windows of a step
  int64_t replay = 50;     // percent of them that are drawn from everything known; the others are the newest
  int64_t steps = 1;       // of a round
  int64_t rate = 16000;    // learning rate in millionths
  int64_t slowing = 1000;  // steps after which the rate has fallen to 0.7 of that; then as 1 / sqrt
  int64_t average = 64;    // steps that the average of the weights looks back
  int64_t seed = 1;

  /// Throws Error when something lies outside what can be learned here, by a model of `config` or one of its own.
  void validate() const;
  void validate(const ModelConfig& config) const;
};

/// For a model that has learned already: its context, and small steps.
LearningOptions learning_on(const QuantizedModel& prior);

std::string pack_learning(const LearningOptions& options);
/// Throws Error naming `where`.
LearningOptions unpack_learning(std::string_view bytes, const std::string& where);
/// Sets one by name, for the command line. Throws Error.
void set_learning(LearningOptions& options, std::string_view assignment);

class OnlineLearner {
 public:
  /// Begins as `prior`, or knowing nothing. Throws Error.
  explicit OnlineLearner(const LearningOptions& options, const QuantizedModel* prior = nullptr);
  ~OnlineLearner();

  const LearningOptions& options() const { return options_; }
  /// What codes until the next round of learning.
  const IntegerModel& image();
  /// A round of steps. `pieces`: what is known of the segment that is being coded, newest bytes last.
  void learn(std::span<const std::string_view> pieces);
  /// The segment is done and joins what is known.
  void keep(std::string segment);
  /// Numbers of the model.
  int64_t weights() const;
  /// What a little learning gives on this machine: logits and weights as bytes.
  static std::string fingerprint(const LearningOptions& options, const QuantizedModel* prior = nullptr);

 private:
  struct Learning;
  LearningOptions options_;
  std::unique_ptr<Learning> learning_;
  std::vector<std::string> known_;  // whole segments
  std::unique_ptr<IntegerModel> image_;
};

}  // namespace crate
