#include "work/compress/lockstep.h"

#include <algorithm>

#include "base/parallel.h"
#include "work/compress/stream_coder.h"

namespace crate {

Lockstep::Lockstep(const IntegerKernels& kernels, char* bytes, int64_t size, int64_t streams, bool learns, Mixer* mixer)
    : kernels_(kernels), learns_(learns), mixer_(mixer) {
  if (mixer_) mixer_->begin(streams);
  for (int64_t s = 0; s < streams; ++s) {
    const int64_t from = piece_begin(size, s, streams), to = piece_begin(size, s + 1, streams);
    pieces_.push_back({bytes + from, to - from, {}});
    longest_ = std::max(longest_, to - from);
  }
}

std::vector<std::string_view> Lockstep::known(int64_t at) const {
  std::vector<std::string_view> out;
  for (const Piece& p : pieces_) out.emplace_back(p.at, static_cast<std::size_t>(std::min(at, p.size)));
  return out;
}

// The byte from which the state is to be run so that it stands before byte a and has room up to byte b.
int64_t Lockstep::window(const IntegerModel& model, Piece& piece, int64_t a, int64_t b) const {
  const int64_t end = std::min(b, piece.size);
  if (piece.state.caches.empty())
    piece.state = model.open();
  else if (!learns_ && piece.state.used + end - a <= model.span())
    return a;
  piece.state.used = 0;
  return std::clamp<int64_t>(learns_ ? end - model.context() : a - model.overlap(), 0, a);
}

void Lockstep::run(const IntegerModel& model, Piece& piece, int64_t from, int64_t to, int32_t* logits) const {
  std::vector<IntegerModel::Row> rows;
  const std::string_view bytes(piece.at, static_cast<std::size_t>(piece.size));
  for (int64_t i = from; i < to; ++i) rows.push_back({&piece.state, token_before(bytes, i, model.vocab())});
  if (!rows.empty()) model.forward(kernels_, rows, logits);
}

void Lockstep::score(const IntegerModel& model, int64_t a, int64_t b, Round& round) {
  const auto count = static_cast<int64_t>(pieces_.size());
  const int64_t stride = (b - a) * model.vocab();
  round.a = a;
  round.b = b;
  round.logits.resize(static_cast<std::size_t>(count * stride));
  parallel_chunks(count, 1, [&](int64_t s, int64_t, int64_t) {
    Piece& piece = pieces_[static_cast<std::size_t>(s)];
    if (a >= piece.size) return;
    run(model, piece, window(model, piece, a, b), a, nullptr);
    run(model, piece, a, std::min(b, piece.size), round.logits.data() + s * stride);
  });
}

void Lockstep::code(const Round& round, int64_t vocab, BitEncoder& coder) {
  const auto count = static_cast<int64_t>(pieces_.size());
  for (int64_t i = round.a; i < round.b; ++i) {
    for (int64_t s = 0; s < count; ++s) {
      const Piece& piece = pieces_[static_cast<std::size_t>(s)];
      if (i >= piece.size) continue;
      const int64_t row = s * (round.b - round.a) + i - round.a;
      kernels_.chances(round.logits.data() + row * vocab, chances_.weight);
      const auto byte = static_cast<uint8_t>(piece.at[i]);
      if (mixer_)
        mixer_->put(coder, s, chances_, byte);
      else
        chances_.put(coder, byte);
    }
  }
}

void Lockstep::encode(const IntegerModel& model, int64_t a, int64_t b, BitEncoder& coder) {
  score(model, a, b, round_);
  code(round_, model.vocab(), coder);
}

void Lockstep::encode_ahead(const IntegerModel& model, int64_t length, BitEncoder& coder,
                            const std::function<void(int64_t, int64_t)>& coded) {
  Round next;
  score(model, 0, std::min(length, longest_), round_);
  while (round_.a < longest_) {
    const int64_t b = std::min(round_.b + length, longest_);
    parallel_for(2, 1, [&](int64_t lo, int64_t hi) {
      if (lo == 0) code(round_, model.vocab(), coder);
      if (hi == 2) score(model, round_.b, b, next);
    });
    coded(round_.a, round_.b);
    std::swap(round_, next);
  }
}

// The logits of byte i of all streams that have one.
void Lockstep::together(const IntegerModel& model, int64_t i) {
  const auto count = static_cast<int64_t>(pieces_.size());
  logits_.resize(static_cast<std::size_t>(count * model.vocab()));
  // Threads meet after every byte: fewer rows than this are not worth a meeting.
  constexpr int64_t rows_of_a_thread = 8;
  const int64_t groups = std::clamp<int64_t>(count / rows_of_a_thread, 1, thread_count());
  groups_.resize(static_cast<std::size_t>(groups));
  parallel_chunks(groups, 1, [&](int64_t group, int64_t, int64_t) {
    auto& [rows, scratch] = groups_[static_cast<std::size_t>(group)];
    rows.clear();
    const int64_t lo = piece_begin(count, group, groups), hi = piece_begin(count, group + 1, groups);
    for (int64_t s = lo; s < hi; ++s) {
      Piece& piece = pieces_[static_cast<std::size_t>(s)];
      const std::string_view bytes(piece.at, static_cast<std::size_t>(piece.size));
      // A stream that is over stays in the batch until the round ends, one token long: rows keep their places.
      if (i >= piece.size) piece.state.used = 0;
      rows.push_back({&piece.state, i >= piece.size ? 0 : token_before(bytes, i, model.vocab())});
    }
    model.forward(kernels_, rows, logits_.data() + lo * model.vocab(), scratch);
  });
}

void Lockstep::decode(const IntegerModel& model, int64_t a, int64_t b, BitDecoder& coder) {
  const auto count = static_cast<int64_t>(pieces_.size());
  parallel_chunks(count, 1, [&](int64_t s, int64_t, int64_t) {
    Piece& piece = pieces_[static_cast<std::size_t>(s)];
    run(model, piece, window(model, piece, a, b), std::min(a, piece.size), nullptr);
  });
  for (int64_t i = a; i < b; ++i) {
    together(model, i);
    for (int64_t s = 0; s < count; ++s) {
      Piece& piece = pieces_[static_cast<std::size_t>(s)];
      if (i >= piece.size) continue;
      kernels_.chances(logits_.data() + s * model.vocab(), chances_.weight);
      piece.at[i] = static_cast<char>(mixer_ ? mixer_->get(coder, s, chances_) : chances_.get(coder));
    }
  }
}

}  // namespace crate
