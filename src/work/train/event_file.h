// event_file: numbers for TensorBoard. A file of records, each a protobuf Event, framed as TFRecord:
//
//   u64 length | u32 masked crc of the length | the Event | u32 masked crc of the Event        all little-endian
//
//   masked(c) = ((c >> 15) | (c << 17)) + 0xa282ead8,  c = CRC-32C (Castagnoli)
//   Event   { double wall_time = 1; int64 step = 2; string file_version = 3 | Summary summary = 5 }
//   Summary { repeated Value value = 1 }    Value { string tag = 1; float simple_value = 2 }
#pragma once
#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace crate {

/// CRC-32C of the bytes.
uint32_t crc32c(std::string_view bytes);

class EventFile {
 public:
  /// Begins events.out.tfevents.TIME.crate in the folder and removes those of earlier runs there.
  EventFile(const std::string& folder, int64_t unix_time);

  /// One event; throws Error when it cannot be written.
  void scalars(double wall_time, int64_t step, std::span<const std::pair<std::string, double>> values);
  const std::string& path() const { return path_; }

 private:
  void record(const std::string& event);
  std::string path_;
  std::ofstream out_;
};

}  // namespace crate
