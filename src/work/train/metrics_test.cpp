// metrics.jsonl and the event file hold the same numbers; the event file is parsed back byte by byte, as TensorBoard
// does.
#include "work/train/metrics.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <map>

#include "testing/folder.h"

namespace crate {
namespace {

uint32_t masked(std::string_view bytes) {
  const uint32_t c = crc32c(bytes);
  return ((c >> 15) | (c << 17)) + 0xa282ead8U;
}

// Reads protobuf fields one after the other.
struct Fields {
  std::string_view left;

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<uint8_t>(left.at(0));
      left.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }
  template <class T> T number() {
    T value;
    std::memcpy(&value, left.data(), sizeof value);
    left.remove_prefix(sizeof value);
    return value;
  }
  std::string_view bytes() {
    const auto n = static_cast<std::size_t>(varint());
    const std::string_view out = left.substr(0, n);
    left.remove_prefix(n);
    return out;
  }
};

struct Event {
  double wall_time = 0;
  int64_t step = 0;
  std::string version;
  std::map<std::string, float> values;
};

Event parse(std::string_view bytes) {
  Event out;
  Fields event{bytes};
  while (!event.left.empty()) {
    const uint64_t key = event.varint();
    if (key == (1 << 3 | 1)) out.wall_time = event.number<double>();
    if (key == (2 << 3 | 0)) out.step = static_cast<int64_t>(event.varint());
    if (key == (3 << 3 | 2)) out.version = event.bytes();
    if (key != (5 << 3 | 2)) continue;
    Fields summary{event.bytes()};
    while (!summary.left.empty()) {
      EXPECT_EQ(summary.varint(), uint64_t{1 << 3 | 2});
      Fields value{summary.bytes()};
      EXPECT_EQ(value.varint(), uint64_t{1 << 3 | 2});
      const std::string tag(value.bytes());
      EXPECT_EQ(value.varint(), uint64_t{2 << 3 | 5});
      out.values[tag] = value.number<float>();
      EXPECT_TRUE(value.left.empty());
    }
  }
  return out;
}

std::vector<Event> events_in(const std::string& folder) {
  std::vector<Event> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().find("tfevents") == std::string::npos) continue;
    EXPECT_TRUE(out.empty()) << "one event file a run";
    const std::string all = read_text_file(entry.path());
    for (std::size_t at = 0; at < all.size();) {
      uint64_t length = 0;
      uint32_t crc = 0;
      std::memcpy(&length, all.data() + at, 8);
      std::memcpy(&crc, all.data() + at + 8, 4);
      EXPECT_EQ(crc, masked(std::string_view(all).substr(at, 8)));
      const std::string_view data = std::string_view(all).substr(at + 12, length);
      std::memcpy(&crc, all.data() + at + 12 + length, 4);
      EXPECT_EQ(crc, masked(data));
      out.push_back(parse(data));
      at += 16 + length;
    }
  }
  return out;
}

TEST(EventFile, ChecksumsAreCastagnolis) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);              // the check value of every catalogue
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);    // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);  // RFC 3720, B.4
}

TEST(Metrics, TheEventFileSaysWhatTheLinesSay) {
  const Folder folder;
  Metrics metrics(folder.path);
  metrics.write({{"step", 10}, {"loss", 2.5}, {"layer", {0.25, 0.5}}, {"note", "not a number"}});
  metrics.write({{"step", 300}, {"val_loss", 2.25}, {"val_top1", 0.125}, {"ema_loss", 2.0}});
  const auto lines = read_text_file(folder.at("metrics.jsonl"));
  const auto first = nlohmann::json::parse(lines.substr(0, lines.find('\n')));
  const std::vector<Event> events = events_in(folder.path);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].version, "brain.Event:2");
  EXPECT_EQ(events[1].step, 10);
  EXPECT_DOUBLE_EQ(events[1].wall_time, first.at("time").get<double>());
  EXPECT_EQ(events[1].values,
            (std::map<std::string, float>{{"train/loss", 2.5F}, {"train/layer/0", 0.25F}, {"train/layer/1", 0.5F}}));
  EXPECT_EQ(events[2].step, 300);
  EXPECT_EQ(events[2].values,
            (std::map<std::string, float>{{"val/loss", 2.25F}, {"val/top1", 0.125F}, {"ema/loss", 2.0F}}));
}

TEST(Metrics, AResumedRunForgetsWhatCameAfterItsCheckpoint) {
  const Folder folder;
  {
    Metrics metrics(folder.path);
    for (int step = 1; step <= 4; ++step) metrics.write({{"step", step}, {"loss", step * 1.5}});
    metrics.write({{"step", 4}, {"val_loss", 1.0}});
  }
  { Metrics::after(folder.path, 2, false).write({{"step", 3}, {"loss", 7}}); }
  const std::vector<Event> events = events_in(folder.path);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[3].step, 3);
  EXPECT_EQ(events[3].values.at("train/loss"), 7.0F);
  const std::string lines = read_text_file(folder.at("metrics.jsonl"));
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3);
}

}  // namespace
}  // namespace crate
