#include "work/compress/stream_coder.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/parallel.h"
#include "work/compress/coder.h"

namespace crate {
namespace {

// Piece s of n bytes in `count` pieces.
int64_t border(int64_t n, int64_t s, int64_t count) { return n * s / count; }

class OneStream {
 public:
  OneStream(const StreamCoder& on, std::string_view bytes)
      : on_(on), bytes_(bytes), n_(static_cast<int64_t>(bytes.size())), state_(on.model.open()), coder_(out_) {}

  std::string encode() {
    const int64_t span = on_.model.span(), step = span - on_.model.overlap();
    for (int64_t start = 0, done = 0; done < n_; start += step) {
      const int64_t end = std::min(start + span, n_);
      state_.used = 0;
      run(start, done, nullptr);
      for (; done < end; done = std::min(done + at_once, end)) code(done, std::min(done + at_once, end));
    }
    coder_.finish();
    return std::move(out_);
  }

 private:
  static constexpr int64_t at_once = 64;

  void run(int64_t from, int64_t to, int32_t* logits) {
    rows_.clear();
    for (int64_t i = from; i < to; ++i) rows_.push_back({&state_, token_before(bytes_, i, on_.model.vocab())});
    on_.model.forward(on_.kernels, rows_, logits, scratch_);
  }

  void code(int64_t from, int64_t to) {
    logits_.resize(static_cast<std::size_t>(at_once * on_.model.vocab()));
    run(from, to, logits_.data());
    for (int64_t i = from; i < to; ++i) {
      on_.kernels.chances(logits_.data() + (i - from) * on_.model.vocab(), chances_.weight);
      chances_.put(coder_, static_cast<uint8_t>(bytes_[static_cast<std::size_t>(i)]));
    }
    if (on_.progress) on_.progress(to - from);
  }

  const StreamCoder& on_;
  std::string_view bytes_;
  int64_t n_;
  IntegerState state_;
  std::string out_;
  BitEncoder coder_;
  ByteChances chances_;
  std::vector<IntegerModel::Row> rows_;
  std::vector<int32_t> logits_;
  IntegerScratch scratch_;
};

// Bits of the bytes from `from` on in a window over all of them.
double bits_of(const StreamCoder& on, std::string_view bytes, int64_t from) {
  const auto n = static_cast<int64_t>(bytes.size());
  IntegerState state = on.model.open();
  std::vector<IntegerModel::Row> rows;
  for (int64_t i = 0; i < n; ++i) rows.push_back({&state, token_before(bytes, i, on.model.vocab())});
  std::vector<int32_t> logits(static_cast<std::size_t>(n * on.model.vocab()));
  on.model.forward(on.kernels, rows, logits.data());
  double bits = 0;
  ByteChances chances{};
  for (int64_t i = from; i < n; ++i) {
    on.kernels.chances(logits.data() + i * on.model.vocab(), chances.weight);
    const double all = std::accumulate(std::begin(chances.weight), std::end(chances.weight), 0.0);
    bits -= std::log2(chances.weight[static_cast<uint8_t>(bytes[static_cast<std::size_t>(i)])] / all);
  }
  return bits;
}

struct Decoding {
  BitDecoder coder;
  IntegerState state;
  char* to;
  int64_t size;
};

// All streams of one thread, a byte of each at a time.
class Together {
 public:
  Together(const StreamCoder& on, std::vector<Decoding> streams) : on_(on), streams_(std::move(streams)) {}

  void decode() {
    int64_t longest = 0;
    for (const Decoding& s : streams_) longest = std::max(longest, s.size);
    int64_t untold = 0;
    for (int64_t i = 0; i < longest; ++i) {
      untold += step(i);
      if (i % 64 != 63 && i + 1 < longest) continue;
      if (on_.progress) on_.progress(untold);
      untold = 0;
    }
  }

 private:
  int64_t step(int64_t i) {
    rows_.clear();
    for (Decoding& s : streams_) {
      if (i >= s.size) continue;
      if (s.state.used == on_.model.span()) refill(s, i);
      rows_.push_back({&s.state, token_before({s.to, static_cast<std::size_t>(i)}, i, on_.model.vocab())});
    }
    logits_.resize(rows_.size() * static_cast<std::size_t>(on_.model.vocab()));
    on_.model.forward(on_.kernels, rows_, logits_.data(), scratch_);
    const int32_t* at = logits_.data();
    for (Decoding& s : streams_) {
      if (i >= s.size) continue;
      on_.kernels.chances(at, chances_.weight);
      s.to[i] = static_cast<char>(chances_.get(s.coder));
      at += on_.model.vocab();
    }
    return static_cast<int64_t>(rows_.size());
  }

  // The window is full: the next one, up to the token before byte i - 1.
  void refill(Decoding& s, int64_t i) {
    refilled_.clear();
    s.state.used = 0;
    for (int64_t t = i - on_.model.overlap(); t < i; ++t)
      refilled_.push_back({&s.state, token_before({s.to, static_cast<std::size_t>(i)}, t, on_.model.vocab())});
    if (!refilled_.empty()) on_.model.forward(on_.kernels, refilled_, nullptr, scratch_);
  }

  const StreamCoder& on_;
  std::vector<Decoding> streams_;
  std::vector<IntegerModel::Row> rows_, refilled_;
  std::vector<int32_t> logits_;
  IntegerScratch scratch_;
  ByteChances chances_;
};

}  // namespace

int32_t token_before(std::string_view bytes, int64_t i, int64_t vocab) {
  if (i == 0) return vocab > 256 ? 256 : 0;
  return static_cast<uint8_t>(bytes[static_cast<std::size_t>(i - 1)]);
}

std::vector<std::string> StreamCoder::encode(std::string_view bytes, int64_t streams) const {
  std::vector<std::string> codes(static_cast<std::size_t>(streams));
  const auto n = static_cast<int64_t>(bytes.size());
  parallel_chunks(streams, 1, [&](int64_t s, int64_t, int64_t) {
    const int64_t from = border(n, s, streams), to = border(n, s + 1, streams);
    codes[static_cast<std::size_t>(s)] =
        OneStream(*this, bytes.substr(static_cast<std::size_t>(from), static_cast<std::size_t>(to - from))).encode();
  });
  return codes;
}

double StreamCoder::cost_of_cutting(std::string_view bytes, int64_t streams) const {
  const auto n = static_cast<int64_t>(bytes.size());
  std::vector<double> costs(static_cast<std::size_t>(streams));
  parallel_chunks(streams - 1, 1, [&](int64_t cut, int64_t, int64_t) {
    const int64_t at = border(n, cut + 1, streams), half = std::min({model.context() / 2, n / streams, at});
    const auto piece = [&](int64_t from, int64_t size) {
      return bytes.substr(static_cast<std::size_t>(from), static_cast<std::size_t>(size));
    };
    costs[static_cast<std::size_t>(cut)] =
        bits_of(*this, piece(at, half), 0) - bits_of(*this, piece(at - half, 2 * half), half);
  });
  return std::accumulate(costs.begin(), costs.end(), 0.0);
}

std::string StreamCoder::decode(const std::vector<std::string_view>& codes, int64_t size) const {
  std::string bytes(static_cast<std::size_t>(size), '\0');
  const auto streams = static_cast<int64_t>(codes.size());
  const int64_t groups = std::min<int64_t>(thread_count(), streams);
  parallel_chunks(groups, 1, [&](int64_t group, int64_t, int64_t) {
    std::vector<Decoding> mine;
    for (int64_t s = border(streams, group, groups); s < border(streams, group + 1, groups); ++s) {
      const int64_t from = border(size, s, streams), to = border(size, s + 1, streams);
      mine.push_back({BitDecoder(codes[static_cast<std::size_t>(s)]), model.open(), bytes.data() + from, to - from});
    }
    Together(*this, std::move(mine)).decode();
  });
  return bytes;
}

}  // namespace crate
