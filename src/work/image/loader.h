// loader: batches of images as a model takes them, decoded and augmented on threads of its own ahead of the step.
// Everything is addressed: the order of an epoch by (seed, epoch), the augmentation of an image by (seed, epoch, item,
// view), the mixing of a batch by (seed, epoch, step). So a step's batch is the same whatever the thread count, and
// whether the run came to the step from the beginning or was resumed there.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "work/image/augment.h"
#include "work/image/set.h"

namespace crate {

/// Crops of one kind: a classifier takes one a sample; self-supervision some large (global) and more small ones
/// (local).
struct ViewOptions {
  int count = 1;
  AugmentOptions augment = {};
};

struct LoaderOptions {
  int64_t batch = 1;
  /// true: shuffled epochs without end, augmented, damaged images skipped. false: every image once, in order, as `eval`
  /// says, the last batch smaller, a damaged image an error.
  bool training = true;
  int channels = 3;
  Normalisation normalisation = {};
  std::vector<ViewOptions> views = {ViewOptions{}};  // training
  bool drop_last = true;                             // training: leave out what does not fill a batch at an epoch's end
  EvalTransform eval = {};
  uint64_t seed = 1;
  int threads = 0;  // 0: one a core
  int ahead = 2;    // batches made beforehand
  /// Decoded images are kept when all of them fit into so many bytes.
  int64_t memory = int64_t{512} << 20;
};

struct ViewBatch {
  int count = 1, height = 0, width = 0;
  std::vector<float> images;  // (count * b, c, h, w): first views of all samples, then second views, ...
};

struct ImageBatch {
  int64_t step = 0, epoch = 0;
  int64_t size = 0;                  // b
  std::vector<ViewBatch> views;      // as LoaderOptions::views
  std::vector<int32_t> labels;       // (b); -1 without labels
  std::vector<float> targets;        // (b, classes), soft when mixed or smoothed; empty without labels
  std::vector<int64_t> items;        // (b): which images of the set
  std::vector<std::string> skipped;  // why images were left out of this batch, each with its file's name

  const std::vector<float>& images() const { return views[0].images; }
};

class ImageLoader {
 public:
  /// The set must outlive the loader. Throws Error on options without sense, or a batch larger than the training set.
  ImageLoader(const ImageSet& set, LoaderOptions options);
  ~ImageLoader();
  ImageLoader(const ImageLoader&) = delete;
  ImageLoader& operator=(const ImageLoader&) = delete;

  /// The batch of a step, counted from 0 over all epochs; it stays until the next call. The steps after it are being
  /// made meanwhile; any other step may be asked for, at the price of waiting. Throws Error when an image cannot be
  /// had.
  const ImageBatch& next(int64_t step);

  /// In an epoch; in evaluation, in all.
  int64_t steps_per_epoch() const { return steps_; }
  /// How long next() had to wait for its batches so far.
  double seconds_waited() const { return waited_; }
  int threads() const { return static_cast<int>(workers_.size()); }

 private:
  struct Slot {
    ImageBatch batch;
    std::vector<std::string> reason;  // a sample
    int64_t left = 0;                 // samples not made yet
    bool ready = false;
    std::exception_ptr error;
    int64_t error_sample = 0;
  };
  struct Task {
    Slot* slot = nullptr;
    int64_t sample = 0;
  };

  void work();
  bool may_start() const;
  Task take();
  void prepare(Slot& slot, int64_t step);
  void restart(int64_t step, std::unique_lock<std::mutex>& lock);
  void make(Slot& slot, int64_t sample);
  void make_views(const Image& image, Slot& slot, int64_t sample, int64_t item);
  void finish(Slot& slot);
  void complete(Slot& slot);
  Image decoded(int64_t item);
  bool keeps_decoded() const;

  const ImageSet& set_;
  LoaderOptions options_;
  int64_t steps_ = 0;
  std::vector<uint32_t> order_;  // of order_epoch_
  int64_t order_epoch_ = -1;

  std::mutex mutex_;
  std::condition_variable work_, done_;
  std::vector<Slot> slots_;                  // step s lies in slot s mod their number
  int64_t first_ = 0;                        // the step in use; slots hold it and those after it
  int64_t task_step_ = 0, task_sample_ = 0;  // what is taken next
  int64_t running_ = 0;                      // tasks taken and not finished
  bool stop_ = false, pause_ = true;

  std::unique_ptr<std::atomic<const Image*>[]> kept_;  // decoded images, or none are kept
  std::atomic<int64_t> kept_bytes_ = 0;
  double waited_ = 0;
  std::vector<std::thread> workers_;
};

/// Images that one worker makes in a second of processor time, measured over about so many seconds of the clock.
double loader_speed(const ImageSet& set, LoaderOptions options, double seconds);

}  // namespace crate
