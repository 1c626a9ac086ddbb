#include "work/image/loader.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <numeric>

#include "base/error.h"
#include "work/image/mix.h"

namespace crate {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// So many damaged images in a row are no accident.
constexpr int64_t most_damaged = 100;

int64_t bytes_of(const Image& image) { return static_cast<int64_t>(image.pixels.size()); }

void check(const ImageSet& set, const LoaderOptions& o) {
  require(o.batch > 0 && o.ahead >= 1, "[loader] batch and ahead must be positive, came {} and {}", o.batch, o.ahead);
  require(o.channels == 1 || o.channels == 3, "[loader] channels must be 1 or 3, came {}", o.channels);
  require(set.size() > 0 && set.size() < (int64_t{1} << 32), "{} holds {} images", set.source(), set.size());
  crate::check(o.normalisation, o.channels);
  if (!o.training) return crate::check(o.eval);
  require(!o.drop_last || o.batch <= set.size(), "{} holds {} images, fewer than a batch of {}: make the batch smaller",
          set.source(), set.size(), o.batch);
  int count = 0;
  for (const ViewOptions& view : o.views) {
    crate::check(view.augment);
    require(view.count > 0, "[loader] a view must be taken once or more, came {}", view.count);
    count += view.count;
  }
  require(count > 0 && count < 256, "[loader] views of a sample must be 1 .. 255, came {}", count);
  for (const ViewOptions& view : o.views) {
    require(count == 1 || (view.augment.mixup <= 0 && view.augment.cutmix <= 0),
            "[loader] mixup and cutmix need one view a sample, came {}", count);
  }
}

}  // namespace

ImageLoader::ImageLoader(const ImageSet& set, LoaderOptions options) : set_(set), options_(std::move(options)) {
  check(set_, options_);
  const bool whole = options_.training && options_.drop_last;
  steps_ = whole ? set_.size() / options_.batch : (set_.size() + options_.batch - 1) / options_.batch;
  slots_.resize(static_cast<std::size_t>(options_.ahead) + 1);
  if (keeps_decoded()) {
    kept_ = std::make_unique<std::atomic<const Image*>[]>(static_cast<std::size_t>(set_.size()));
    for (int64_t i = 0; i < set_.size(); ++i) kept_[static_cast<std::size_t>(i)] = nullptr;
  }
  const int cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const int threads = options_.threads > 0 ? options_.threads : cores;
  for (int i = 0; i < threads; ++i) workers_.emplace_back([this] { work(); });
}

ImageLoader::~ImageLoader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  for (int64_t i = 0; kept_ && i < set_.size(); ++i) delete kept_[static_cast<std::size_t>(i)].load();
}

/// Whether all images fit the memory, told from the first one that decodes.
bool ImageLoader::keeps_decoded() const {
  if (set_.in_memory() || options_.memory <= 0) return false;
  for (int64_t i = 0; i < std::min(set_.size(), most_damaged); ++i) {
    try {
      return bytes_of(with_channels(set_.decode(i), options_.channels)) <= options_.memory / set_.size();
    } catch (const Error&) {
      continue;  // reported when its turn comes
    }
  }
  return false;
}

Image ImageLoader::decoded(int64_t item) {
  if (!kept_) return with_channels(set_.decode(item), options_.channels);
  std::atomic<const Image*>& place = kept_[static_cast<std::size_t>(item)];
  if (const Image* kept = place.load(std::memory_order_acquire)) return *kept;
  Image image = with_channels(set_.decode(item), options_.channels);
  if (kept_bytes_.fetch_add(bytes_of(image)) + bytes_of(image) > options_.memory) return image;
  auto copy = std::make_unique<const Image>(image);
  const Image* none = nullptr;
  if (place.compare_exchange_strong(none, copy.get(), std::memory_order_acq_rel)) copy.release();
  return image;
}

const ImageBatch& ImageLoader::next(int64_t step) {
  require(step >= 0 && (options_.training || step < steps_), "[loader] step {} of {}", step, steps_);
  const auto start = Clock::now();
  std::unique_lock lock(mutex_);
  const bool follows = !pause_ && step >= first_ && step <= first_ + 1;
  if (follows) {
    first_ = step;
  } else {
    restart(step, lock);
  }
  work_.notify_all();
  Slot& slot = slots_[static_cast<std::size_t>(step) % slots_.size()];
  done_.wait(lock, [&] { return slot.ready && slot.batch.step == step; });
  waited_ += seconds_since(start);
  if (slot.error) {
    pause_ = true;
    std::rethrow_exception(slot.error);
  }
  return slot.batch;
}

/// Begins anew at `step`, once the workers have let go of what they had.
void ImageLoader::restart(int64_t step, std::unique_lock<std::mutex>& lock) {
  pause_ = true;
  done_.wait(lock, [&] { return running_ == 0; });
  for (Slot& slot : slots_) slot.ready = false;
  first_ = task_step_ = step;
  task_sample_ = 0;
  pause_ = false;
}

bool ImageLoader::may_start() const {
  return !pause_ && task_step_ < first_ + static_cast<int64_t>(slots_.size()) &&
         (options_.training || task_step_ < steps_);
}

void ImageLoader::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return stop_ || may_start(); });
    if (stop_) return;
    const Task task = take();
    lock.unlock();
    std::exception_ptr error;
    try {
      make(*task.slot, task.sample);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    Slot& slot = *task.slot;  // of this batch until its last sample is told done
    if (error && (!slot.error || task.sample < slot.error_sample)) {
      slot.error = error;
      slot.error_sample = task.sample;
    }
    if (--slot.left == 0) {
      lock.unlock();
      finish(slot);
      lock.lock();
      slot.ready = true;
    }
    if (--running_ == 0 || slot.ready) done_.notify_all();
  }
}

/// The next sample to make; under the lock, and may_start().
ImageLoader::Task ImageLoader::take() {
  Slot& slot = slots_[static_cast<std::size_t>(task_step_) % slots_.size()];
  if (task_sample_ == 0) prepare(slot, task_step_);
  const Task task{&slot, task_sample_};
  ++running_;
  if (++task_sample_ == slot.batch.size) {
    ++task_step_;
    task_sample_ = 0;
  }
  return task;
}

void ImageLoader::prepare(Slot& slot, int64_t step) {
  const int64_t epoch = step / steps_, from = step % steps_ * options_.batch;
  if (order_epoch_ != epoch) {
    order_.resize(static_cast<std::size_t>(set_.size()));
    std::iota(order_.begin(), order_.end(), 0u);
    const Rng rng(options_.seed, Stream::shuffle);
    for (std::size_t i = order_.size() - 1; options_.training && i > 0; --i)
      std::swap(order_[i], order_[rng.below(i + 1, static_cast<uint64_t>(epoch), i)]);
    order_epoch_ = epoch;
  }
  ImageBatch& b = slot.batch;
  b.step = step;
  b.epoch = epoch;
  b.size = std::min(options_.batch, set_.size() - from);
  const auto n = static_cast<std::size_t>(b.size);
  b.items.assign(order_.begin() + from, order_.begin() + from + b.size);
  b.labels.assign(n, -1);
  slot.reason.assign(n, "");
  slot.left = b.size;
  slot.ready = false;
  slot.error = nullptr;
  b.views.resize(options_.training ? options_.views.size() : 1);
  for (std::size_t v = 0; v < b.views.size(); ++v) {
    ViewBatch& view = b.views[v];
    view.count = options_.training ? options_.views[v].count : 1;
    view.height = options_.training ? options_.views[v].augment.height : options_.eval.height;
    view.width = options_.training ? options_.views[v].augment.width : options_.eval.width;
    view.images.resize(n * static_cast<std::size_t>(view.count) * static_cast<std::size_t>(options_.channels) *
                       static_cast<std::size_t>(view.height) * static_cast<std::size_t>(view.width));
  }
}

/// One sample of a batch. In training the next image that decodes stands in for a damaged one.
void ImageLoader::make(Slot& slot, int64_t sample) {
  const auto at = static_cast<std::size_t>(sample);
  int64_t item = slot.batch.items[at];
  for (int64_t tries = 1;; ++tries) {
    Image image;
    try {
      image = decoded(item);
    } catch (const Error& e) {
      if (!options_.training) throw;
      require(tries < std::min(most_damaged, set_.size()), "{} (and the {} images before it; is {} whole?)", e.what(),
              tries - 1, set_.source());
      if (tries == 1) slot.reason[at] = e.what();
      item = (item + 1) % set_.size();
      continue;
    }
    slot.batch.items[at] = item;
    slot.batch.labels[at] = set_.label(item);
    return make_views(image, slot, sample, item);
  }
}

void ImageLoader::make_views(const Image& image, Slot& slot, int64_t sample, int64_t item) {
  const auto place = [&](ViewBatch& view, int copy) {
    const int64_t n = int64_t{options_.channels} * view.height * view.width;
    return view.images.data() + (copy * slot.batch.size + sample) * n;
  };
  if (!options_.training)
    return normalise(transformed(image, options_.eval), options_.normalisation, place(slot.batch.views[0], 0));
  uint64_t number = 0;
  for (std::size_t v = 0; v < options_.views.size(); ++v) {
    for (int copy = 0; copy < options_.views[v].count; ++copy) {
      const AugmentOptions& augment = options_.views[v].augment;
      Draws draws(options_.seed, Stream::augment, static_cast<uint64_t>(slot.batch.epoch), static_cast<uint64_t>(item),
                  number++);
      float* to = place(slot.batch.views[v], copy);
      normalise(augmented(image, augment, draws), options_.normalisation, to);
      erase(to, options_.channels, augment, draws);
    }
  }
}

/// What concerns the batch as a whole; once, by whoever made its last sample.
void ImageLoader::finish(Slot& slot) {
  if (slot.error) return;
  try {
    complete(slot);
  } catch (...) {
    slot.error = std::current_exception();
  }
}

void ImageLoader::complete(Slot& slot) {
  ImageBatch& b = slot.batch;
  b.skipped.clear();
  for (std::string& reason : slot.reason) {
    if (!reason.empty()) b.skipped.push_back(std::move(reason));
  }
  Mix mix;
  double smoothing = 0;
  if (options_.training) {
    const AugmentOptions& augment = options_.views[0].augment;
    Draws draws(options_.seed, Stream::mix, static_cast<uint64_t>(b.epoch), static_cast<uint64_t>(b.step % steps_));
    mix = choose_mix(augment, draws);
    smoothing = augment.label_smoothing;
    mix_images(mix, b.size, options_.channels, b.views[0].height, b.views[0].width, b.views[0].images);
  }
  b.targets.clear();
  const auto classes = static_cast<int>(set_.classes().size());
  if (classes > 0) mix_targets(mix, b.labels, classes, smoothing, b.targets);
}

double loader_speed(const ImageSet& set, LoaderOptions options, double seconds) {
  options.threads = 1;
  ImageLoader loader(set, std::move(options));
  loader.next(0);
  const auto start = Clock::now();
  const std::clock_t used = std::clock();  // of the process: here the worker's, as nothing else works
  int64_t images = 0, step = 1;
  while (seconds_since(start) < seconds) images += loader.next(step++).size;
  return static_cast<double>(images) * CLOCKS_PER_SEC / static_cast<double>(std::clock() - used);
}

}  // namespace crate
