#include "work/compress/archive.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/sha256.h"
#include "work/compress/bytes.h"
#include "work/compress/packed_model.h"
#include "work/compress/stream_coder.h"

namespace crate {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view magic = "CRZ1";
constexpr char arithmetic = 1;  // raised whenever the integers of the forward change
constexpr std::size_t segment_size = std::size_t{4} << 20;
constexpr int64_t stream_size = 128 << 10;
constexpr int64_t most_streams = 1024;
constexpr std::size_t id_size = 16, check_size = 4, sum_size = 8;  // bytes

enum Record : char { end_record = 0, name_record = 1, segment_record = 2 };

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The first n bytes of the SHA-256.
std::string sum_of(std::string_view bytes, std::size_t n) {
  const std::string hex = sha256_hex(std::as_bytes(std::span(bytes.data(), bytes.size())));
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(static_cast<char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16)));
  return out;
}

// What the model computes on a fixed text, on this machine.
std::string check_of(const IntegerModel& model, const IntegerKernels& kernels) {
  constexpr std::string_view text = "The check of behaviour: 0123456789, (a+b)*c = ?\n";
  IntegerState state = model.open();
  std::vector<IntegerModel::Row> rows;
  for (const char c : text.substr(0, static_cast<std::size_t>(std::min<int64_t>(model.context(), 48))))
    rows.push_back({&state, static_cast<uint8_t>(c)});
  std::vector<int32_t> logits(rows.size() * static_cast<std::size_t>(model.vocab()));
  model.forward(kernels, rows, logits.data());
  return sum_of({reinterpret_cast<const char*>(logits.data()), logits.size() * sizeof(int32_t)}, check_size);
}

std::string read_up_to(const Source& source, std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t got = 0;
  while (got < size) {
    const std::size_t now = source(bytes.data() + got, size - got);
    if (now == 0) break;
    got += now;
  }
  bytes.resize(got);
  return bytes;
}

class Compressor {
 public:
  Compressor(const QuantizedModel& model, const Sink& sink, const CompressOptions& options)
      : options_(options), sink_(sink), packed_(pack_model(model)), model_(model), kernels_(integer_kernels()) {
    require(options.hop >= 0 && options.hop <= model_.context(),
            "[compress] hop must be 1 to the context of {}, came {}", model_.context(), options.hop);
    require(options.streams >= 0 && options.streams <= most_streams, "[compress] streams must be 1 to {}, came {}",
            most_streams, options.streams);
    coder_.emplace(StreamCoder{model_, kernels_,
                               options.hop > 0 ? options.hop : std::max<int64_t>(1, model_.context() / 2),
                               [this](int64_t bytes) { tell(bytes); }});
    for (const auto& [name, m] : model.matrices) result_.weights += m.rows * m.cols;
    for (const auto& [name, v] : model.vectors) result_.weights += static_cast<int64_t>(v.size());
  }

  CompressResult run(const std::vector<InputFile>& files) {
    put_header();
    for (const InputFile& file : files) {
      if (files.size() > 1 || !file.name.empty()) put_name(file.name);
      for (std::string bytes = read_up_to(file.source, segment_size); !bytes.empty();
           bytes = read_up_to(file.source, segment_size))
        put_segment(bytes);
    }
    put(std::string(1, end_record));
    result_.model = static_cast<int64_t>(packed_.size());
    result_.seconds = since(start_);
    return result_;
  }

 private:
  void put(std::string_view bytes) {
    sink_(bytes);
    result_.archive += static_cast<int64_t>(bytes.size());
    now_.coded = result_.archive;
  }

  void put_header() {
    std::string h(magic);
    h.push_back(arithmetic);
    h.push_back(options_.embed ? 1 : 0);
    h.push_back(static_cast<char>(coder_->hop & 255));
    h.push_back(static_cast<char>(coder_->hop >> 8));
    h += sum_of(packed_, id_size);
    h += check_of(model_, kernels_);
    if (options_.embed) {
      put_varint(h, packed_.size());
      h += packed_;
    }
    put(h + sum_of(h, check_size));
  }

  void put_name(const std::string& name) {
    std::string record(1, name_record);
    put_varint(record, name.size());
    put(record + name);
  }

  void put_segment(const std::string& bytes) {
    const auto n = static_cast<int64_t>(bytes.size());
    const int64_t wanted = options_.streams > 0 ? options_.streams : (n + stream_size - 1) / stream_size;
    const std::vector<std::string> codes = coder_->encode(bytes, std::clamp<int64_t>(wanted, 1, n));
    std::string payload, sizes;
    put_varint(sizes, codes.size());
    for (const std::string& code : codes) {
      put_varint(sizes, code.size());
      payload += code;
    }
    const bool coded = payload.size() + sizes.size() < bytes.size();
    if (!coded) payload = bytes;
    std::string record(1, segment_record);
    put_varint(record, bytes.size());
    record.push_back(coded ? 1 : 0);
    put_varint(record, payload.size());
    if (coded) record += sizes;
    record += sum_of(payload, sum_size) + sum_of(bytes, sum_size);
    put(record);
    put(payload);
    result_.raw += n;
  }

  void tell(int64_t bytes) {
    const std::lock_guard lock(telling_);
    now_.raw += bytes;
    if (options_.progress) options_.progress(now_);
  }

  const CompressOptions& options_;
  const Sink& sink_;
  std::string packed_;
  IntegerModel model_;
  const IntegerKernels& kernels_;
  std::optional<StreamCoder> coder_;
  CompressProgress now_;
  CompressResult result_;
  std::mutex telling_;
  Clock::time_point start_ = Clock::now();
};

// An archive as it comes: lengths are checked before anything of that size is asked for.
class ArchiveReader {
 public:
  ArchiveReader(const Source& source, const std::string& where) : source_(source), where_(where) {}

  std::string take(std::size_t n) {
    std::string bytes = read_up_to(source_, n);
    require(bytes.size() == n, "{} is cut short; restore it from a copy", where_);
    taken_ += static_cast<int64_t>(n);
    return bytes;
  }
  uint64_t varint(uint64_t most) {
    std::string bytes;
    do bytes += take(1);
    while ((bytes.back() & 128) != 0 && bytes.size() < 10);
    return ByteReader(bytes, where_).varint(most);
  }
  bool at_end() { return read_up_to(source_, 1).empty(); }
  int64_t taken() const { return taken_; }

 private:
  const Source& source_;
  const std::string& where_;
  int64_t taken_ = 0;
};

class Decompressor {
 public:
  Decompressor(const Source& source, const DecompressOptions& options)
      : options_(options), where_(options.where), in_(source, where_), kernels_(integer_kernels()) {}

  CompressResult run() {
    read_header();
    for (;;) {
      const char record = in_.take(1)[0];
      if (record == end_record) break;
      if (record == name_record)
        open(in_.take(in_.varint(4096)));
      else
        read_segment(record);
    }
    require(in_.at_end(), "{} goes on after its end; restore it from a copy", where_);
    if (!sink_) open("");
    result_.archive = in_.taken();
    result_.seconds = since(start_);
    return result_;
  }

 private:
  void read_header() {
    require(in_.take(magic.size()) == magic, "{} is no archive of crate compress", where_);
    const char version = in_.take(1)[0];
    require(version == arithmetic,
            "{} was written with version {} of the arithmetic, this program has {}: use the program that wrote it",
            where_, static_cast<int>(version), static_cast<int>(arithmetic));
    const char mode = in_.take(1)[0];
    require(mode == 0 || mode == 1, "{} is damaged: mode {}", where_, static_cast<int>(mode));
    const std::string hop = in_.take(2);
    hop_ = static_cast<uint8_t>(hop[0]) | static_cast<uint8_t>(hop[1]) << 8;
    id_ = in_.take(id_size);
    check_ = in_.take(check_size);
    std::string header = std::string(magic) + version + mode + hop + id_ + check_, packed;
    if (mode == 1) {
      packed = in_.take(in_.varint(uint64_t{1} << 28));
      put_varint(header, packed.size());
      header += packed;
    }
    require(in_.take(check_size) == sum_of(header, check_size), "{} is damaged: its header has another checksum",
            where_);
    if (mode == 0) return;
    require(sum_of(packed, id_size) == id_, "{} is damaged: the model inside is not the one it names", where_);
    if (options_.decode) adopt(unpack_model(packed, where_));
  }

  void adopt(const QuantizedModel& model) {
    require(sum_of(pack_model(model), id_size) == id_, "{} was made with another model than the one given", where_);
    model_.emplace(model);
    require(check_of(*model_, kernels_) == check_,
            "this machine computes other numbers than the one that wrote {} (instruction set {}); nothing was decoded: "
            "please report this",
            where_, kernels_.name);
    require(hop_ >= 1 && hop_ <= model_->context(), "{} is damaged: windows {} tokens apart", where_, hop_);
  }

  void open(const std::string& name) {
    require(name.empty() || (name != "." && name != ".." && name.find('/') == std::string::npos &&
                             name.find('\0') == std::string::npos),
            "{} holds a file named \"{}\", which would be written elsewhere; refused", where_, name);
    sink_ = options_.open && options_.decode ? options_.open(name) : Sink([](std::string_view) {});
  }

  std::vector<std::size_t> code_sizes(std::size_t payload, std::size_t raw) {
    std::vector<std::size_t> sizes(in_.varint(std::min<uint64_t>(most_streams, raw)));
    std::size_t left = payload;
    for (std::size_t& s : sizes) {
      s = in_.varint(left);
      left -= s;
    }
    require(left == 0 && !sizes.empty(), "{} is damaged: the streams of a segment do not fill it", where_);
    return sizes;
  }

  void read_segment(char record) {
    require(record == segment_record, "{} is damaged: record {}", where_, static_cast<int>(record));
    if (!sink_) open("");
    const std::size_t raw = in_.varint(segment_size);
    const char method = in_.take(1)[0];
    require(raw > 0 && (method == 0 || method == 1), "{} is damaged: a segment of {} bytes by method {}", where_, raw,
            static_cast<int>(method));
    const std::size_t size = in_.varint(method == 0 ? raw : segment_size);
    const std::vector<std::size_t> sizes = method == 1 ? code_sizes(size, raw) : std::vector<std::size_t>{};
    const std::string payload_sum = in_.take(sum_size), raw_sum = in_.take(sum_size), payload = in_.take(size);
    require(sum_of(payload, sum_size) == payload_sum, "{} is damaged: a checksum does not hold; restore it from a copy",
            where_);
    result_.raw += static_cast<int64_t>(raw);
    if (!options_.decode) return;
    const std::string bytes = method == 0 ? payload : decode(payload, sizes, raw);
    require(bytes.size() == raw && sum_of(bytes, sum_size) == raw_sum,
            "{} is damaged: what it decodes to has another checksum; restore it from a copy", where_);
    sink_(bytes);
  }

  std::string decode(const std::string& payload, const std::vector<std::size_t>& sizes, std::size_t raw) {
    if (!model_) {
      require(static_cast<bool>(options_.model), "{} needs the model it was made with: give --model", where_);
      adopt(options_.model());
    }
    std::vector<std::string_view> codes;
    std::size_t at = 0;
    for (const std::size_t s : sizes) {
      codes.push_back(std::string_view(payload).substr(at, s));
      at += s;
    }
    const StreamCoder coder{*model_, kernels_, hop_, [this](int64_t bytes) { tell(bytes); }};
    return coder.decode(codes, static_cast<int64_t>(raw));
  }

  void tell(int64_t bytes) {
    const std::lock_guard lock(telling_);
    now_.raw += bytes;
    now_.coded = in_.taken();
    if (options_.progress) options_.progress(now_);
  }

  const DecompressOptions& options_;
  const std::string& where_;
  ArchiveReader in_;
  const IntegerKernels& kernels_;
  int64_t hop_ = 0;
  std::string id_, check_;
  std::optional<IntegerModel> model_;
  Sink sink_;
  CompressProgress now_;
  CompressResult result_;
  std::mutex telling_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

CompressResult compress(const QuantizedModel& model, const std::vector<InputFile>& files, const Sink& sink,
                        const CompressOptions& options) {
  return Compressor(model, sink, options).run(files);
}

CompressResult decompress(const Source& source, const DecompressOptions& options) {
  return Decompressor(source, options).run();
}

}  // namespace crate
