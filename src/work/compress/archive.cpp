#include "work/compress/archive.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/sha256.h"
#include "model/parameters.h"
#include "work/compress/bytes.h"
#include "work/compress/packed_model.h"
#include "work/compress/segment_coder.h"

namespace crate {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view magic = "CRZ1";
constexpr char arithmetic = 6;  // raised whenever the numbers of a forward or of the learning change
constexpr std::size_t segment_size = std::size_t{4} << 20;
constexpr std::size_t id_size = 16, check_size = 4, sum_size = 8;  // bytes

enum Mode : char { model_apart = 0, model_inside = 1, learned = 2, apart_learning = 3, inside_learning = 4 };
constexpr char mixed = 16;
bool learns(Mode mode) { return mode >= learned; }
bool is_apart(Mode mode) { return mode == model_apart || mode == apart_learning; }
bool is_inside(Mode mode) { return mode == model_inside || mode == inside_learning; }
enum Record : char { end_record = 0, name_record = 1, segment_record = 2 };

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// The first n bytes of the SHA-256.
std::string sum_of(std::string_view bytes, std::size_t n) {
  const std::string hex = sha256_hex(std::as_bytes(std::span(bytes.data(), bytes.size())));
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(static_cast<char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16)));
  return out;
}

std::string two_bytes(int64_t x) { return {static_cast<char>(x & 255), static_cast<char>(x >> 8)}; }

int64_t two_bytes_at(const std::string& bytes, std::size_t at) {
  return static_cast<uint8_t>(bytes[at]) | static_cast<uint8_t>(bytes[at + 1]) << 8;
}

std::string with_length(std::string_view bytes) {
  std::string out;
  put_varint(out, bytes.size());
  return out + std::string(bytes);
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

// What codes the segments, and what the header says of it.
struct Coding {
  std::string header;  // from the mode on, before the check
  std::string check;
  std::unique_ptr<SegmentCoder> coder;
};

// Half the context, or a quarter where windows do not slide.
int64_t reach_of(const ModelConfig& model, const CompressOptions& o) {
  require(o.reach >= 0 && o.reach <= model.context, "[compress] reach must be 1 to the context of {}, came {}",
          model.context, o.reach);
  return o.reach > 0 ? o.reach : std::max<int64_t>(1, model.context / (model.learned_positions ? 4 : 2));
}

// `model` was made with `reach`.
Coding coding_with(const IntegerModel& model, int64_t reach, const std::string& packed, const CompressOptions& o) {
  require(o.streams >= 0 && o.streams <= most_streams, "[compress] streams must be 1 to {}, came {}", most_streams,
          o.streams);
  const char mode = static_cast<char>((o.embed ? model_inside : model_apart) + (o.mix ? mixed : 0));
  return {std::string(1, mode) + two_bytes(reach) + (o.mix ? two_bytes(o.streams) : "") +
              (o.embed ? with_length(packed) : sum_of(packed, id_size)),
          sum_of(behaviour_of(model), check_size),
          model_coder(model, {.streams = o.streams, .mix = o.mix, .report = o.report})};
}

// `prior` and its packed bytes: none where the model begins knowing nothing.
Coding coding_with(const LearningOptions& learning, const QuantizedModel* prior, const std::string& packed,
                   const CompressOptions& o) {
  const Mode mode = !prior ? learned : o.embed ? inside_learning : apart_learning;
  std::string header = std::string(1, static_cast<char>(mode + (o.mix ? mixed : 0)));
  header += with_length(pack_learning(learning));
  if (prior) header += o.embed ? with_length(packed) : sum_of(packed, id_size);
  return {header, sum_of(OnlineLearner::fingerprint(learning, prior), check_size),
          online_coder({.learning = learning, .prior = prior, .mix = o.mix, .report = o.report})};
}

class Compressor {
 public:
  Compressor(Coding coding, const Sink& sink, const CompressOptions& options)
      : options_(options), sink_(sink), coding_(std::move(coding)) {
    coding_.coder->progress = [this](int64_t bytes) { tell(bytes); };
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
    if (const MixReport* report = coding_.coder->report()) result_.mixed = *report;
    result_.streams = coding_.coder->cuts().streams;
    result_.cuts = coding_.coder->cuts().bits;
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
    const std::string h = std::string(magic) + arithmetic + coding_.header + coding_.check;
    put(h + sum_of(h, check_size));
  }

  void put_name(const std::string& name) {
    std::string record(1, name_record);
    put_varint(record, name.size());
    put(record + name);
  }

  void put_segment(const std::string& bytes) {
    std::string payload = coding_.coder->encode(bytes);
    const bool coded = payload.size() < bytes.size();
    if (!coded) payload = bytes;
    std::string record(1, segment_record);
    put_varint(record, bytes.size());
    record.push_back(coded ? 1 : 0);
    put_varint(record, payload.size());
    record += sum_of(payload, sum_size) + sum_of(bytes, sum_size);
    put(record);
    put(payload);
    result_.raw += static_cast<int64_t>(bytes.size());
  }

  void tell(int64_t bytes) {
    const std::lock_guard lock(telling_);
    now_.raw += bytes;
    if (options_.progress) options_.progress(now_);
  }

  const CompressOptions& options_;
  const Sink& sink_;
  Coding coding_;
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
      : options_(options), where_(options.where), in_(source, where_) {}

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
    const char flags = in_.take(1)[0];
    mix_ = (flags & mixed) != 0;
    mode_ = static_cast<Mode>(flags & ~mixed);
    require(mode_ >= model_apart && mode_ <= inside_learning, "{} is damaged: mode {}", where_,
            static_cast<int>(mode_));
    std::string header = std::string(magic) + version + flags, learning, inside;
    if (learns(mode_)) {
      learning = take_with_length(header);
    } else {
      const std::string numbers = in_.take(mix_ ? 4 : 2);
      reach_ = two_bytes_at(numbers, 0);
      if (mix_) streams_ = two_bytes_at(numbers, 2);
      header += numbers;
    }
    if (is_apart(mode_)) header += id_ = in_.take(id_size);
    if (is_inside(mode_)) inside = take_with_length(header);
    header += check_ = in_.take(check_size);
    require(in_.take(check_size) == sum_of(header, check_size), "{} is damaged: its header has another checksum",
            where_);
    if (!options_.decode) return;
    if (learns(mode_)) learning_ = unpack_learning(learning, where_);
    if (is_inside(mode_)) return adopt(unpack_model(inside, where_));
    if (mode_ == learned) learn_from(nullptr);
  }

  std::string take_with_length(std::string& header) {
    const std::string bytes = in_.take(in_.varint(uint64_t{1} << 28));
    header += with_length(bytes);
    return bytes;
  }

  void learn_from(const QuantizedModel* prior) {
    require(sum_of(OnlineLearner::fingerprint(learning_, prior), check_size) == check_,
            "this machine or this build learns other numbers than the one that wrote {}; nothing was decoded: use the "
            "same binary, on x86-64 with AVX2",
            where_);
    use(online_coder({.learning = learning_, .prior = prior, .mix = mix_}));
  }

  void adopt(const QuantizedModel& model) {
    if (learns(mode_)) return learn_from(&model);
    require(reach_ >= 1 && reach_ <= model.config.context && streams_ <= most_streams,
            "{} is damaged: a reach of {} tokens, {} streams", where_, reach_, streams_);
    model_.emplace(model, reach_);
    require(sum_of(behaviour_of(*model_), check_size) == check_,
            "this machine computes other numbers than the one that wrote {} (instruction set {}); nothing was decoded: "
            "please report this",
            where_, integer_kernels().name);
    use(model_coder(*model_, {.streams = streams_, .mix = mix_}));
  }

  void use(std::unique_ptr<SegmentCoder> coder) {
    coder_ = std::move(coder);
    coder_->progress = [this](int64_t bytes) { tell(bytes); };
  }

  void open(const std::string& name) {
    require(name.empty() || (name != "." && name != ".." && name.find('/') == std::string::npos &&
                             name.find('\0') == std::string::npos),
            "{} holds a file named \"{}\", which would be written elsewhere; refused", where_, name);
    sink_ = options_.open && options_.decode ? options_.open(name) : Sink([](std::string_view) {});
  }

  void read_segment(char record) {
    require(record == segment_record, "{} is damaged: record {}", where_, static_cast<int>(record));
    if (!sink_) open("");
    const std::size_t raw = in_.varint(segment_size);
    const char method = in_.take(1)[0];
    require(raw > 0 && (method == 0 || method == 1), "{} is damaged: a segment of {} bytes by method {}", where_, raw,
            static_cast<int>(method));
    const std::size_t size = in_.varint(method == 0 ? raw : segment_size);
    const std::string payload_sum = in_.take(sum_size), raw_sum = in_.take(sum_size), payload = in_.take(size);
    require(sum_of(payload, sum_size) == payload_sum, "{} is damaged: a checksum does not hold; restore it from a copy",
            where_);
    result_.raw += static_cast<int64_t>(raw);
    if (!options_.decode) return;
    const std::string bytes = decoded(method == 1, payload, raw);
    require(bytes.size() == raw && sum_of(bytes, sum_size) == raw_sum,
            "{} is damaged: what it decodes to has another checksum; restore it from a copy", where_);
    sink_(bytes);
  }

  std::string decoded(bool coded, const std::string& payload, std::size_t raw) {
    if (coded && !coder_) {
      require(static_cast<bool>(options_.model), "{} needs the model it was made with: give --model", where_);
      const QuantizedModel model = options_.model();
      require(sum_of(pack_model(model), id_size) == id_, "{} was made with another model than the one given", where_);
      adopt(model);
    }
    if (coded) return coder_->decode(payload, static_cast<int64_t>(raw));
    if (coder_) coder_->pass(payload);
    return payload;
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
  int64_t reach_ = 0, streams_ = 0;
  Mode mode_ = model_apart;
  bool mix_ = false;
  LearningOptions learning_;
  std::string id_, check_;
  std::optional<IntegerModel> model_;
  std::unique_ptr<SegmentCoder> coder_;
  Sink sink_;
  CompressProgress now_;
  CompressResult result_;
  std::mutex telling_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

Source source_of(std::string bytes) {
  return [bytes = std::move(bytes), at = std::size_t{0}](char* to, std::size_t n) mutable {
    n = std::min(n, bytes.size() - at);
    bytes.copy(to, n, at);
    at += n;
    return n;
  };
}

CompressResult compress(const QuantizedModel& model, const std::vector<InputFile>& files, const Sink& sink,
                        const CompressOptions& options) {
  const std::string packed = pack_model(model);
  std::optional<IntegerModel> integer;
  const int64_t reach = options.learning ? 0 : reach_of(model.config, options);
  if (!options.learning) integer.emplace(model, reach);
  Coding coding = options.learning ? coding_with(*options.learning, &model, packed, options)
                                   : coding_with(*integer, reach, packed, options);
  CompressResult result = Compressor(std::move(coding), sink, options).run(files);
  result.model = static_cast<int64_t>(packed.size());
  result.weights = count_parameters(model.config).all;
  return result;
}

CompressResult compress_online(const LearningOptions& learning, const std::vector<InputFile>& files, const Sink& sink,
                               const CompressOptions& options) {
  CompressResult result = Compressor(coding_with(learning, nullptr, {}, options), sink, options).run(files);
  result.weights = OnlineLearner(learning).weights();
  return result;
}

CompressResult decompress(const Source& source, const DecompressOptions& options) {
  return Decompressor(source, options).run();
}

}  // namespace crate
