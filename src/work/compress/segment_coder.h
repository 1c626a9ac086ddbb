// segment_coder: the bytes of a segment as a payload, and back, in the ways an archive knows.
//   apart      streams apart from each other, any number of threads: streams, size of each code (varints), codes
//   lockstep   streams in lockstep (lockstep.h), one code. Where the model learns, it does so between
//              rounds (online_learner.h); where it is mixed, with statistics that all streams share (mixer.h)
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "work/compress/mixer.h"
#include "work/compress/online_learner.h"

namespace crate {

class SegmentCoder {
 public:
  virtual ~SegmentCoder() = default;
  virtual std::string encode(std::string_view bytes) = 0;
  /// `size` bytes. Damaged payloads give other bytes, the caller's checksum tells; or throw Error.
  virtual std::string decode(std::string_view payload, int64_t size) = 0;
  /// A segment that was not coded: what learns, learns from it too.
  virtual void pass(std::string_view bytes) = 0;

  /// What mixing was worth so far, where it was asked for.
  virtual const MixReport* report() const { return nullptr; }

  /// What independent streams cost so far: how many there were, and the bits by which they are dearer than one.
  struct Cuts {
    int64_t streams = 0;
    double bits = 0;
  };
  virtual Cuts cuts() const { return {}; }

  /// Told how many bytes are done since the last call; from any thread.
  std::function<void(int64_t)> progress = {};
};

struct ModelCoding {
  int64_t streams = 0;  // of a segment; 0: one per 128 KiB, mixed: one
  bool mix = false, report = false;
};
/// `model` outlives the coder.
std::unique_ptr<SegmentCoder> model_coder(const IntegerModel& model, const ModelCoding& coding);

struct OnlineCoding {
  LearningOptions learning;
  const QuantizedModel* prior = nullptr;  // as which it begins; read now only
  bool mix = false, report = false;
};
std::unique_ptr<SegmentCoder> online_coder(const OnlineCoding& coding);

inline constexpr int64_t most_streams = 1024;

}  // namespace crate
