// sha256: the hash that names models, data and archives (FIPS 180-4, through OpenSSL).
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace crate {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::span<const std::byte> bytes);
  /// 64 lower-case hexadecimal digits; once.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::span<const std::byte> bytes);
/// Throws Error when the file cannot be read.
std::string sha256_file(const std::string& path);

}  // namespace crate
