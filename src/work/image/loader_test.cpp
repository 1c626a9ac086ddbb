// A step's batch is the same whatever the threads and the way there; damaged images are skipped or refused.
#include "work/image/loader.h"

#include <gtest/gtest.h>

#include <chrono>
#include <set>

#include "base/error.h"
#include "testing/folder.h"
#include "work/image/scene.h"

namespace crate {
namespace {

/// Image i is 8 x 8 of the level i; the damaged ones throw.
class LevelSet : public ImageSet {
 public:
  explicit LevelSet(int64_t size, std::set<int64_t> damaged = {})
      : ImageSet("levels", {{"even", "even"}, {"odd", "odd"}}), size_(size), damaged_(std::move(damaged)) {}
  int64_t size() const override { return size_; }
  int label(int64_t i) const override { return static_cast<int>(i % 2); }
  std::string name(int64_t i) const override { return fmt::format("levels[{}]", i); }
  Image decode(int64_t i) const override {
    require(!damaged_.contains(i), "{}: damaged", name(i));
    Image image(8, 8, 1);
    std::fill(image.pixels.begin(), image.pixels.end(), static_cast<uint8_t>(i));
    return image;
  }

 private:
  int64_t size_;
  std::set<int64_t> damaged_;
};

const Normalisation plain{.mean = {0}, .std = {1.0F / 255}};  // numbers are levels

LoaderOptions evaluation(int64_t batch) {
  return {.batch = batch,
          .training = false,
          .channels = 1,
          .normalisation = plain,
          .eval = {.resize = 0, .height = 8, .width = 8},
          .threads = 3};
}

LoaderOptions training(int64_t batch) {
  LoaderOptions o{.batch = batch, .channels = 1, .normalisation = plain, .threads = 3};
  o.views[0].augment.height = o.views[0].augment.width = 8;
  return o;
}

TEST(Loader, EvaluationIsEveryImageOnceInOrder) {
  const LevelSet set(10);
  ImageLoader loader(set, evaluation(4));
  EXPECT_EQ(loader.steps_per_epoch(), 3);
  int64_t expected = 0;
  for (int64_t step = 0; step < 3; ++step) {
    const ImageBatch& b = loader.next(step);
    EXPECT_EQ(b.size, step < 2 ? 4 : 2);
    ASSERT_EQ(b.images().size(), static_cast<std::size_t>(b.size * 64));
    for (int64_t i = 0; i < b.size; ++i, ++expected) {
      EXPECT_EQ(b.items[static_cast<std::size_t>(i)], expected);
      EXPECT_FLOAT_EQ(b.images()[static_cast<std::size_t>(i * 64 + 63)], static_cast<float>(expected));
      EXPECT_EQ(b.labels[static_cast<std::size_t>(i)], expected % 2);
      EXPECT_EQ(b.targets[static_cast<std::size_t>(2 * i + expected % 2)], 1.0F);
    }
  }
  EXPECT_NE(message_of([&] { loader.next(3); }).find("step 3 of 3"), std::string::npos);
}

TEST(Loader, AnEpochIsAPermutation) {
  const LevelSet set(11);
  LoaderOptions options = training(4);
  ImageLoader dropping(set, options);
  EXPECT_EQ(dropping.steps_per_epoch(), 2);
  options.drop_last = false;
  ImageLoader loader(set, options);
  EXPECT_EQ(loader.steps_per_epoch(), 3);
  std::vector<std::vector<int64_t>> epochs(2);
  for (int64_t step = 0; step < 6; ++step) {
    const ImageBatch& b = loader.next(step);
    EXPECT_EQ(b.epoch, step / 3);
    EXPECT_EQ(b.size, step % 3 < 2 ? 4 : 3);
    auto& epoch = epochs[static_cast<std::size_t>(b.epoch)];
    epoch.insert(epoch.end(), b.items.begin(), b.items.end());
  }
  EXPECT_NE(epochs[0], epochs[1]);
  for (const auto& epoch : epochs) EXPECT_EQ(std::set<int64_t>(epoch.begin(), epoch.end()).size(), 11u);
}

LoaderOptions everything(int threads) {
  LoaderOptions o{.batch = 6, .views = {{}}, .seed = 4, .threads = threads};
  o.views[0].augment = {.height = 24,
                        .width = 32,
                        .randaugment = 2,
                        .brightness = 0.4,
                        .hue = 0.1,
                        .erase = 0.5,
                        .erase_noise = true,
                        .mixup = 0.8,
                        .cutmix = 1,
                        .label_smoothing = 0.1};
  return o;
}

TEST(Loader, BatchesDoNotDependOnThreadsNorOnTheWayThere) {
  const auto set = open_images("synthetic:20,size=40");
  std::vector<std::vector<float>> images, targets;
  {
    ImageLoader loader(*set, everything(1));
    for (int64_t step = 0; step < 8; ++step) {
      images.push_back(loader.next(step).images());
      targets.push_back(loader.next(step).targets);
    }
  }
  EXPECT_NE(images[0], images[3]);
  for (const int threads : {2, 5}) {
    ImageLoader loader(*set, everything(threads));
    for (const int64_t step : {5, 6, 7, 2, 3, 3, 0, 7}) {
      const ImageBatch& b = loader.next(step);
      EXPECT_EQ(b.step, step);
      EXPECT_EQ(b.images(), images[static_cast<std::size_t>(step)]) << step;
      EXPECT_EQ(b.targets, targets[static_cast<std::size_t>(step)]) << step;
    }
  }
  LoaderOptions forgetful = everything(3);
  forgetful.memory = 0;
  ImageLoader loader(*set, forgetful);
  for (int64_t step = 0; step < 8; ++step)
    EXPECT_EQ(loader.next(step).images(), images[static_cast<std::size_t>(step)]);
}

TEST(Loader, ManyViewsOfASample) {
  const auto set = open_images("synthetic:8,size=40");
  LoaderOptions options{.batch = 4, .views = {{.count = 2}, {.count = 3}}, .threads = 2};
  options.views[0].augment = {.height = 32, .width = 32, .scale_min = 0.4, .blur = 0.5};
  options.views[1].augment = {.height = 16, .width = 16, .scale_max = 0.4};
  ImageLoader loader(*set, options);
  const ImageBatch& b = loader.next(1);
  ASSERT_EQ(b.views.size(), 2u);
  ASSERT_EQ(b.views[0].images.size(), 2u * 4 * 3 * 32 * 32);
  ASSERT_EQ(b.views[1].images.size(), 3u * 4 * 3 * 16 * 16);
  // A view of a sample stands at (view * batch + sample), and no two are alike.
  std::set<std::vector<float>> different;
  const auto& local = b.views[1].images;
  for (std::ptrdiff_t i = 0; i < 12; ++i) different.emplace(local.begin() + i * 768, local.begin() + (i + 1) * 768);
  EXPECT_EQ(different.size(), 12u);
}

TEST(Loader, DamagedImagesAreSkippedInTraining) {
  const LevelSet set(10, {3, 4});
  std::vector<std::vector<int64_t>> items;
  for (const int threads : {1, 4}) {
    LoaderOptions options = training(5);
    options.threads = threads;
    ImageLoader loader(set, options);
    std::vector<int64_t> seen;
    std::vector<std::string> reasons;
    for (int64_t step = 0; step < 2; ++step) {
      const ImageBatch& b = loader.next(step);
      seen.insert(seen.end(), b.items.begin(), b.items.end());
      reasons.insert(reasons.end(), b.skipped.begin(), b.skipped.end());
      for (std::size_t i = 0; i < 5; ++i) EXPECT_FLOAT_EQ(b.images()[i * 64], static_cast<float>(b.items[i]));
    }
    EXPECT_EQ(std::set<std::string>(reasons.begin(), reasons.end()),
              (std::set<std::string>{"levels[3]: damaged", "levels[4]: damaged"}));
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 5), 3);  // stands in for both
    items.push_back(seen);
  }
  EXPECT_EQ(items[0], items[1]);
}

TEST(Loader, DamagedImagesAreAnErrorInEvaluationAndWhenTheyAreAll) {
  const LevelSet set(10, {6, 7});
  ImageLoader loader(set, evaluation(4));
  loader.next(0);
  EXPECT_EQ(message_of([&] { loader.next(1); }), "levels[6]: damaged");
  EXPECT_EQ(loader.next(2).size, 2);
  const LevelSet ruins(3, {0, 1, 2});
  ImageLoader hopeless(ruins, training(2));
  EXPECT_NE(message_of([&] { hopeless.next(0); }).find("damaged"), std::string::npos);
}

TEST(Loader, OptionsWithoutSense) {
  const LevelSet set(3);
  EXPECT_NE(message_of([&] { ImageLoader(set, training(4)); }).find("fewer than a batch of 4"), std::string::npos);
  LoaderOptions options = training(2);
  options.channels = 3;
  EXPECT_NE(message_of([&] { ImageLoader(set, options); }).find("3 channels"), std::string::npos);
  options = training(2);
  options.views[0].count = 2;
  options.views[0].augment.mixup = 1;
  EXPECT_NE(message_of([&] { ImageLoader(set, options); }).find("one view"), std::string::npos);
}

TEST(Loader, CountsWhatItWaited) {
  const auto set = open_images("synthetic:8,size=64");
  LoaderOptions options{.batch = 4, .threads = 1};
  options.views[0].augment.height = options.views[0].augment.width = 64;
  ImageLoader loader(*set, options);
  loader.next(0);
  const double first = loader.seconds_waited();
  EXPECT_GT(first, 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  loader.next(1);  // made meanwhile
  EXPECT_LT(loader.seconds_waited() - first, 0.15);
}

}  // namespace
}  // namespace crate
