// mix_match: where the last bytes of a stream came before, and what followed there.
#pragma once
#include <cstdint>
#include <vector>

#include "work/compress/mix_parts.h"

namespace crate::mix {

/// The texts of all streams so far.
class Texts {
 public:
  void begin(std::size_t streams);
  void add(std::size_t stream, uint8_t byte) { texts_[first_ + stream].push_back(byte); }
  const std::vector<uint8_t>& of(std::size_t text) const { return texts_[text]; }
  std::size_t number(std::size_t stream) const { return first_ + stream; }

 private:
  std::vector<std::vector<uint8_t>> texts_;
  std::size_t first_ = 0;  // of the streams of now
};

/// Follows the last occurrence of the last `least` bytes, also past a byte that differs.
class Match {
 public:
  Match(const Texts& texts, std::size_t least) : texts_(texts), least_(least), heads_(std::size_t{1} << log_size) {}
  void begin(std::size_t streams) { at_.assign(streams, {}); }
  /// After the byte was added to the texts.
  void add(std::size_t stream, uint8_t byte);
  /// The byte that followed, or -1; how many bytes agree, and of the last eight predictions, which failed.
  int expected(std::size_t stream) const;
  int length(std::size_t stream) const { return at_[stream].length; }
  int failed(std::size_t stream) const { return at_[stream].failed; }

 private:
  static constexpr int log_size = 20, most = 65535;
  struct Place {
    uint32_t text = 0, at = 0;  // 0: none
  };
  struct Following {
    Place place;
    int length = 0, failed = 0;
  };
  bool known(const Place& p) const { return p.at < texts_.of(p.text).size(); }
  void follow(Following& now, bool right) const;
  int agreeing(const Place& p, const std::vector<uint8_t>& text) const;

  const Texts& texts_;
  std::size_t least_;
  std::vector<Place> heads_;
  std::vector<Following> at_;
};

/// What the match says of the next bit of a byte.
class MatchInputs {
 public:
  static constexpr std::size_t count = 2;

  MatchInputs(const Texts& texts, std::size_t least);
  void begin(std::size_t streams) { match_.begin(streams); }
  void begin_byte(std::size_t stream);
  void collect(int place, int16_t* x);
  void learn(int place, bool bit);
  void add(std::size_t stream, uint8_t byte) { match_.add(stream, byte); }

  /// A byte is expected, and the bits so far are its own.
  bool expects() const { return byte_ >= 0; }
  bool bit(int place) const { return expects() && (byte_ >> place & 1) != 0; }
  int byte() const { return byte_; }
  int length() const { return length_; }
  /// 1 to 32 of how long the match is; 0: expects nothing.
  std::size_t level() const { return expects() ? level_ + 1 : 0; }
  static constexpr std::size_t levels = 32;

 private:
  Match match_;
  Map worth_;  // that the bit is the expected one
  int byte_ = -1, length_ = 0, failed_ = 0;
  std::size_t level_ = 0, state_ = 0;
};

}  // namespace crate::mix
