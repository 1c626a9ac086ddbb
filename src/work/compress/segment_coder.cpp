#include "work/compress/segment_coder.h"

#include <algorithm>

#include "base/error.h"
#include "work/compress/bytes.h"
#include "work/compress/lockstep.h"
#include "work/compress/stream_coder.h"

namespace crate {
namespace {

constexpr int64_t stream_size = 128 << 10;
constexpr int64_t least_online_stream = 2048;  // bytes
constexpr int64_t longest_round = 256;         // bytes of a stream

int64_t streams_for(int64_t size, int64_t wanted) {
  return std::clamp<int64_t>(wanted > 0 ? wanted : (size + stream_size - 1) / stream_size, 1, size);
}

// Statistics want the text in its order: in 32 streams they cost 0.1 bits a byte more (docs/experiments.md).
int64_t mixed_streams_for(int64_t size, int64_t wanted) {
  return std::clamp<int64_t>(std::max<int64_t>(1, wanted), 1, size);
}

class ApartCoder final : public SegmentCoder {
 public:
  ApartCoder(const IntegerModel& model, const ModelCoding& coding)
      : coding_(coding), coder_{model, integer_kernels(), [this](int64_t n) {
                                  if (progress) progress(n);
                                }} {}

  std::string encode(std::string_view bytes) override {
    const auto n = static_cast<int64_t>(bytes.size());
    const int64_t streams = streams_for(n, coding_.streams);
    const std::vector<std::string> codes = coder_.encode(bytes, streams);
    cuts_.streams += streams;
    cuts_.bits += coder_.cost_of_cutting(bytes, streams);
    std::string payload;
    put_varint(payload, codes.size());
    for (const std::string& code : codes) put_varint(payload, code.size());
    for (const std::string& code : codes) payload += code;
    return payload;
  }

  std::string decode(std::string_view payload, int64_t size) override {
    ByteReader in(payload, "a segment");
    const auto most = static_cast<uint64_t>(std::min<int64_t>(most_streams, size));
    std::vector<std::size_t> sizes(in.varint(most));
    require(!sizes.empty(), "a segment is damaged: it has no streams");
    for (std::size_t& s : sizes) s = in.varint(payload.size());
    std::vector<std::string_view> codes;
    for (const std::size_t s : sizes) codes.push_back(in.take(s));
    require(in.rest().empty(), "a segment is damaged: its streams do not fill it");
    return coder_.decode(codes, size);
  }

  void pass(std::string_view) override {}
  Cuts cuts() const override { return cuts_; }

 private:
  Cuts cuts_;
  ModelCoding coding_;
  StreamCoder coder_;
};

class LockstepCoder final : public SegmentCoder {
 public:
  LockstepCoder(const IntegerModel& model, const ModelCoding& coding)
      : model_(&model), coding_(coding), kernels_(integer_kernels()) {
    mix(coding.mix, coding.report);
  }
  explicit LockstepCoder(const OnlineCoding& coding)
      : learner_(std::make_unique<OnlineLearner>(coding.learning, coding.prior)), kernels_(integer_kernels()) {
    mix(coding.mix, coding.report);
  }

  std::string encode(std::string_view bytes) override {
    std::string own(bytes), code;
    BitEncoder coder(code);
    if (learner_)
      walk(own, [&](Lockstep& streams, int64_t a, int64_t b) { streams.encode(learner_->image(), a, b, coder); });
    else
      encode_ahead(own, coder);
    coder.finish();
    return code;
  }

  std::string decode(std::string_view payload, int64_t size) override {
    std::string bytes(static_cast<std::size_t>(size), '\0');
    BitDecoder coder(payload);
    walk(bytes, [&](Lockstep& streams, int64_t a, int64_t b) {
      streams.decode(model(), a, b, coder);
      require(!coder.overrun(), "a segment is damaged: it ends too early");
    });
    return bytes;
  }

  void pass(std::string_view bytes) override {
    // All that learned before it turned out that storing is shorter.
    std::string own(bytes), unused;
    BitEncoder coder(unused);
    walk(own, [&](Lockstep& streams, int64_t a, int64_t b) {
      if (mixer_) streams.encode(model(), a, b, coder);
      unused.clear();
    });
  }

  const MixReport* report() const override { return mixer_ ? &mixer_->report() : nullptr; }

 private:
  void mix(bool wanted, bool report) {
    if (wanted) mixer_ = std::make_unique<Mixer>(report);
  }

  void encode_ahead(std::string& bytes, BitEncoder& coder) {
    const auto n = static_cast<int64_t>(bytes.size()), count = mixed_streams_for(n, coding_.streams);
    Lockstep streams(kernels_, bytes.data(), n, count, false, mixer_.get());
    streams.encode_ahead(*model_, window_length(count), coder, [&](int64_t a, int64_t b) {
      if (progress) progress(std::min(n, b * count) - std::min(n, a * count));
    });
  }

  const IntegerModel& model() { return learner_ ? learner_->image() : *model_; }

  // Rounds over one segment, with learning after each where something learns.
  template <class F> void walk(std::string& bytes, F&& code) {
    const auto n = static_cast<int64_t>(bytes.size());
    const int64_t count = learner_ ? std::clamp<int64_t>(n / least_online_stream, 1, learner_->options().streams)
                                   : mixed_streams_for(n, coding_.streams);
    Lockstep streams(kernels_, bytes.data(), n, count, learner_ != nullptr, mixer_.get());
    int64_t unlearned = 0;
    for (int64_t a = 0, b = 0; a < streams.longest(); a = b) {
      b = std::min(a + window_length(count), streams.longest());
      code(streams, a, b);
      unlearned += (b - a) * count;
      known_ += (b - a) * count;
      if (learner_ && unlearned >= round_length()) {
        learner_->learn(streams.known(b));
        unlearned = 0;
      }
      if (progress) progress(std::min(n, b * count) - std::min(n, a * count));
    }
    if (learner_) learner_->keep(bytes);
  }

  // Of what learns, short rounds as long as little is known.
  int64_t round_length() const {
    const int64_t most = learner_->options().every;
    return std::clamp<int64_t>(known_ / 16, std::min<int64_t>(64, most), most);
  }

  int64_t window_length(int64_t count) const {
    if (!learner_) return std::min(longest_round, model_->span() - model_->overlap());
    return std::clamp<int64_t>(round_length() / count, 1, learner_->options().chunk);
  }

  const IntegerModel* model_ = nullptr;
  ModelCoding coding_;
  std::unique_ptr<OnlineLearner> learner_;
  const IntegerKernels& kernels_;
  std::unique_ptr<Mixer> mixer_;
  int64_t known_ = 0;
};

}  // namespace

std::unique_ptr<SegmentCoder> model_coder(const IntegerModel& model, const ModelCoding& coding) {
  if (coding.mix) return std::make_unique<LockstepCoder>(model, coding);
  return std::make_unique<ApartCoder>(model, coding);
}

std::unique_ptr<SegmentCoder> online_coder(const OnlineCoding& coding) {
  return std::make_unique<LockstepCoder>(coding);
}

}  // namespace crate
