// A training step that is like the one before it takes its memory from what that one left: the pool does not grow and
// the kernel is asked for no pages.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <optional>
#include <vector>

#include "base/parallel.h"
#include "model/language_model.h"
#include "work/train/optimizer.h"

namespace crate {
namespace {

int64_t page_faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

// Training of a small model on one batch again and again.
class Steps {
 public:
  explicit Steps(Products products) : device_({.products = products}), model_(device_, config()) {
    model_.init(1);
    model_.store().allocate_grads();
    optimizer_.emplace(device_, std::vector{&model_.store()}, OptimizerRecipe{});
  }
  void until(int64_t step) {
    const Tensor tokens{text_.data(), {8, 128}, Dtype::i32};
    for (; step_ < step; ++step_) {
      model_.store().forget_grads();
      {
        Run run(device_, {.record = true, .train = true});
        run.backward(model_.loss(run, tokens, tokens).loss);
      }
      optimizer_->update(1e-3, 0.1, step_);
    }
  }
  std::size_t peak_bytes() { return device_.pool().peak_bytes(); }

 private:
  static ModelConfig config() {
    ModelConfig c = config_of(Family::crate_lm);
    c.dim = 64;
    c.heads = 4;
    c.layers = 4;
    c.context = 128;
    return c;
  }
  Device device_;
  LanguageModel model_;
  std::optional<Optimizer> optimizer_;
  std::vector<int32_t> text_ = std::vector<int32_t>(8 * 128, 7);
  int64_t step_ = 0;
};

// Eight steps after four; `spare`: bytes by which the pool may still grow.
void expect_steady(Products products, std::size_t spare) {
  Steps steps(products);
  steps.until(4);
  const std::size_t peak = steps.peak_bytes();
  const int64_t before = page_faults();
  steps.until(12);
  EXPECT_LE(steps.peak_bytes(), peak + spare);
  // The activations of a step fill thousands of pages; a thread's stack may still grow by a few.
  EXPECT_GT(peak / 4096, 2000U);
  EXPECT_LT(page_faults() - before, 100 + static_cast<int64_t>(spare / 4096)) << name_of(products);
}

TEST(SteadyStep, AsksForNoMemory) {
  const int threads = omp_get_max_threads();
  set_thread_count(1);
  for (const Products products : {Products::f32, Products::bf16}) expect_steady(products, 0);
  set_thread_count(threads);
}

// Working memory of a piece of rows is held by as many threads as happen to be in it at once. One of a step's tensors
// is 256 KiB: eight steps that kept one each would take four times what is spared.
TEST(SteadyStep, AsksForNoMoreThanItsThreadsHold) {
  for (const Products products : {Products::f32, Products::bf16}) expect_steady(products, 512 << 10);
}

}  // namespace
}  // namespace crate
