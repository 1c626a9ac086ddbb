// crate compress, decompress, test, quantize: files as archives under a byte-level model.
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numbers>

#include "base/error.h"
#include "base/file.h"
#include "cli/command.h"
#include "model/checkpoint.h"
#include "work/compress/archive.h"
#include "work/compress/error_feedback.h"
#include "work/compress/packed_model.h"
#include "work/compress/tune.h"

namespace crate::cli {
namespace {

namespace fs = std::filesystem;

struct FileCloser {
  void operator()(std::FILE* f) const {
    if (f && f != stdin) std::fclose(f);
  }
};
using File = std::shared_ptr<std::FILE>;

// "-" is standard input.
Source file_source(const std::string& path) {
  require(path == "-" || !fs::is_directory(path), "{} is a folder; name files", path);
  const File file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"), FileCloser());
  require(file != nullptr, "cannot read {}: is the name right?", path);
  return [file, path](char* to, std::size_t n) {
    const std::size_t got = std::fread(to, 1, n, file.get());
    require(std::ferror(file.get()) == 0, "cannot read {} to its end", path);
    return got;
  };
}

// A file that appears whole at commit(), or standard output.
class Target {
 public:
  Target(const std::string& path, bool force) {
    if (path == "-") return;
    require(force || !fs::exists(path), "{} exists already; give --force to replace it, or another -o", path);
    file_ = std::make_unique<AtomicFile>(path);
  }
  void write(std::string_view bytes) {
    if (file_) return file_->write(bytes);
    require(std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size(), "cannot write to standard output");
  }
  void commit() {
    if (file_) return file_->commit();
    require(std::fflush(stdout) == 0, "cannot write to standard output");
  }

 private:
  std::unique_ptr<AtomicFile> file_;
};

int64_t size_of_file(const std::string& path) {
  return path != "-" && fs::is_regular_file(path) ? static_cast<int64_t>(fs::file_size(path)) : 0;
}

double bits_a_byte(int64_t archive, int64_t raw) {
  return raw > 0 ? 8.0 * static_cast<double>(archive) / static_cast<double>(raw) : 0;
}

// Shows speed and ratio; on standard error's terminal only when standard output carries the data.
class Meter {
 public:
  explicit Meter(int64_t total) : total_(total) {}
  void show(const CompressProgress& p) {
    if (coded_ < 0) coded_ = p.coded;  // the header
    if (p.coded != coded_) {           // a segment is complete: only then archive and text are of the same length
      coded_ = p.coded;
      ratio_ = fmt::format("  {}B of archive, {:.3f} bits a byte", short_number(static_cast<double>(p.coded)),
                           bits_a_byte(p.coded, p.raw));
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    const double part = total_ > 0 ? static_cast<double>(p.raw) / static_cast<double>(total_) : 0;
    line_.show(fmt::format("[{}] {}B  {:.3f} MB/s{}", bar(std::min(1.0, part), 20),
                           short_number(static_cast<double>(p.raw)), static_cast<double>(p.raw) / 1e6 / seconds,
                           ratio_));
  }
  void clear() { line_.clear(); }

 private:
  using Clock = std::chrono::steady_clock;
  int64_t total_, coded_ = -1;
  std::string ratio_;
  Progress line_;
  Clock::time_point start_ = Clock::now();
};

struct Compressing : Common {
  std::vector<std::string> files;
  std::string out, model;
  int bits = 8;
  bool force = false, online = false;
  std::vector<std::string> set;  // of the learning
  CompressOptions options;
};

// What was reached, the archive never without what it needs beside it.
void tell(const Compressing& o, const CompressResult& r) {
  std::FILE* const to = o.out == "-" ? stderr : stdout;
  const int64_t both = r.archive + (o.options.embed ? 0 : r.model);
  if (o.json) {
    fmt::print(to, "{}\n",
               nlohmann::json{{"raw_bytes", r.raw},
                              {"archive_bytes", r.archive},
                              {"model_bytes", r.model},
                              {"archive_and_model_bytes", both},
                              {"bits_per_byte", bits_a_byte(r.archive, r.raw)},
                              {"bits_per_byte_with_model", bits_a_byte(both, r.raw)},
                              {"weights", r.weights},
                              {"streams", r.streams},
                              {"streams_cost_bits", r.cuts},
                              {"seconds", r.seconds}}
                   .dump());
    return;
  }
  if (o.options.mix && o.options.report) {
    const auto each = [&](double bits) { return r.raw > 0 ? bits / static_cast<double>(r.raw) : 0; };
    fmt::print(to,
               "bits a byte: mixed {:.4f}, the model alone {:.4f}; mixed without the model {:.4f}, without the last "
               "bytes {:.4f}, without the match {:.4f}\n",
               each(r.mixed.all), each(r.mixed.model), each(r.mixed.without_model), each(r.mixed.without_orders),
               each(r.mixed.without_match));
  }
  const double speed = static_cast<double>(r.raw) / 1e3 / r.seconds;
  fmt::print(to, "{} bytes -> archive {} ({:.4f} bits a byte)", r.raw, r.archive, bits_a_byte(r.archive, r.raw));
  if (o.model.empty()) {
    fmt::print(to, ", nothing else is needed\n{} weights learned while coding; {:.1f} KB/s\n", r.weights, speed);
    return;
  }
  fmt::print(to, "{}{} bytes ({:.4f})\n{} weights, {:.2f} bits each once coded; {:.1f} KB/s\n",
             o.options.embed ? ", of which model " : ", archive + model ", o.options.embed ? r.model : both,
             bits_a_byte(o.options.embed ? r.model : both, r.raw), r.weights, bits_a_byte(r.model, r.weights), speed);
  if (r.streams > 1)
    fmt::print(to, "{} streams: that each begins without context costs {:.0f} bytes ({:.4f} bits a byte)\n", r.streams,
               std::round(r.cuts / 8) + 0.0, r.raw > 0 ? r.cuts / static_cast<double>(r.raw) : 0);
}

CompressResult coded(const Compressing& o, const std::vector<InputFile>& inputs, const Sink& sink,
                     CompressOptions options) {
  if (o.model.empty()) {
    LearningOptions learning;
    for (const std::string& s : o.set) set_learning(learning, s);
    return compress_online(learning, inputs, sink, options);
  }
  const QuantizedModel model = load_quantized(o.model, o.bits);
  if (o.online) {
    options.learning = learning_on(model);
    for (const std::string& s : o.set) set_learning(*options.learning, s);
  }
  return compress(model, inputs, sink, options);
}

void run(const Compressing& o) {
  require(!o.out.empty(), "name the archive with -o FILE.crz, or -o - for standard output");
  require(o.online || !o.model.empty(), "give --model FILE, or --online to learn while coding, or both");
  require(o.set.empty() || o.online, "--set belongs to --online");
  std::vector<InputFile> inputs;
  int64_t total = 0;
  for (const std::string& path : o.files) {
    inputs.push_back({o.files.size() > 1 ? fs::path(path).filename().string() : "", file_source(path)});
    total += size_of_file(path);
  }
  Target target(o.out, o.force);
  CompressOptions options = o.options;
  Meter meter(total);
  if (o.out != "-" && !o.json) options.progress = [&](const CompressProgress& p) { meter.show(p); };
  const Sink sink = [&](std::string_view bytes) { target.write(bytes); };
  const CompressResult r = coded(o, inputs, sink, options);
  target.commit();
  meter.clear();
  tell(o, r);
}

struct Decompressing : Common {
  std::string archive, out, model;
  int bits = 8;
  bool force = false;
};

DecompressOptions reading(const Decompressing& o) {
  DecompressOptions d;
  d.where = o.archive == "-" ? "standard input" : o.archive;
  if (!o.model.empty()) d.model = [&o] { return load_quantized(o.model, o.bits); };
  return d;
}

void run_decompress(const Decompressing& o) {
  require(!o.out.empty(),
          "name the file (or the folder, for an archive of several) with -o, or -o - for standard output");
  std::vector<std::unique_ptr<Target>> targets;
  DecompressOptions d = reading(o);
  d.open = [&](const std::string& name) -> Sink {
    if (!name.empty() && o.out != "-") fs::create_directories(o.out);
    targets.push_back(
        std::make_unique<Target>(name.empty() || o.out == "-" ? o.out : (fs::path(o.out) / name).string(), o.force));
    return [target = targets.back().get()](std::string_view bytes) { target->write(bytes); };
  };
  Meter meter(0);
  if (o.out != "-" && !o.json) d.progress = [&](const CompressProgress& p) { meter.show(p); };
  const CompressResult r = decompress(file_source(o.archive), d);
  for (const auto& target : targets) target->commit();
  meter.clear();
  std::FILE* const to = o.out == "-" ? stderr : stdout;
  if (o.json)
    fmt::print(
        to, "{}\n",
        nlohmann::json{
            {"raw_bytes", r.raw}, {"archive_bytes", r.archive}, {"files", targets.size()}, {"seconds", r.seconds}}
            .dump());
  else
    fmt::print(to, "{} -> {} bytes in {} file{}, {:.1f} KB/s\n", r.archive, r.raw, targets.size(),
               targets.size() == 1 ? "" : "s", static_cast<double>(r.raw) / 1e3 / r.seconds);
}

void run_test(const Decompressing& o) {
  DecompressOptions d = reading(o);
  Meter meter(0);
  if (!o.json) d.progress = [&](const CompressProgress& p) { meter.show(p); };
  bool decoded = true;
  CompressResult r;
  try {
    r = decompress(file_source(o.archive), d);
  } catch (const Error& e) {
    // Without the model the checksums of the coded bytes can still be told.
    if (!o.model.empty() || std::string_view(e.what()).find("give --model") == std::string_view::npos) throw;
    decoded = false;
    d.decode = false;
    r = decompress(file_source(o.archive), d);
  }
  meter.clear();
  if (o.json)
    fmt::print("{}\n",
               nlohmann::json{{"whole", true}, {"decoded", decoded}, {"raw_bytes", r.raw}, {"archive_bytes", r.archive}}
                   .dump());
  else
    fmt::print(
        "{} is whole: {} bytes for {}{}\n", o.archive, r.archive, r.raw,
        decoded ? ", all of them decoded and checked" : "; the coded bytes were checked, decoding them needs --model");
}

struct Quantizing : Common {
  std::string model, out, text;
  int bits = 8;
  bool force = false;
  int64_t tune = 0;  // steps
  double rate = TuneOptions().rate;
};

QuantizedModel quantized(const Quantizing& o) {
  require(o.tune == 0 || !o.text.empty(), "--tune learns from a text: give --text FILE");
  if (o.text.empty()) return load_quantized(o.model, o.bits);
  Device device;
  const std::unique_ptr<LanguageModel> model = load_language_model(device, o.model);
  const std::string text = read_text_file(o.text);
  if (o.tune == 0) return quantize_with_feedback(*model, o.bits, text);
  Progress line;
  TuneOptions tuning{.steps = o.tune, .rate = o.rate, .seed = o.seed};
  if (!o.json)
    tuning.progress = [&](int64_t step, double loss) {
      line.show(fmt::format("[{}] step {}/{}  {:.4f} bits a byte, rounded",
                            bar(static_cast<double>(step + 1) / static_cast<double>(o.tune), 20), step + 1, o.tune,
                            loss / std::numbers::ln2));
    };
  return quantize_tuned(*model, o.bits, text, tuning);
}

void run_quantize(const Quantizing& o) {
  require(!o.out.empty(), "name the file with -o FILE.crq");
  const QuantizedModel model = quantized(o);
  const std::string packed = pack_model(model);
  Target target(o.out, o.force);
  target.write(packed);
  target.commit();
  const int64_t weights = count_parameters(model.config).all, bytes = static_cast<int64_t>(packed.size());
  if (o.json)
    fmt::print("{}\n", nlohmann::json{{"weights", weights},
                                      {"bits", model.bits},
                                      {"bytes", bytes},
                                      {"bits_per_weight", bits_a_byte(bytes, weights)}}
                           .dump());
  else
    fmt::print("{}: {} weights of {} bits in {} bytes, {:.2f} bits each\n", o.out, weights, model.bits, bytes,
               bits_a_byte(bytes, weights));
}

void add_bits(CLI::App& c, int& bits) {
  c.add_option("--bits", bits, "of a weight, when the model is a directory (2 to 8)")
      ->capture_default_str()
      ->check(CLI::Range(2, 8));
}

void add_reading(CLI::App& c, Decompressing& o) {
  c.add_option("archive", o.archive, "what crate compress wrote; - for standard input")->required();
  c.add_option("--model", o.model, "the model it was made with, unless it is inside");
  add_bits(c, o.bits);
}

}  // namespace

void add_compress(CLI::App& app) {
  auto o = std::make_shared<Compressing>();
  CLI::App* c = add_command(app, "compress", "files as one archive under a model that reads bytes",
                            "crate compress data/tinyshakespeare.txt --model out/demo-crate-lm -o out/play.crz", *o);
  c->add_option("files", o->files, "any files; - for standard input")->required();
  c->add_option("-o,--out", o->out, "the archive; - for standard output");
  c->add_option("--model", o->model, "a model directory, or what crate quantize wrote");
  c->add_flag("--online", o->online,
              "the model learns while it codes, and again in the same way while decoding; without --model it begins "
              "knowing nothing");
  c->add_option("--set", o->set, "of the learning, e.g. layers=4 (repeatable)");
  c->add_flag("--mix", o->options.mix, "with the statistics of the last bytes and of what followed them before");
  c->add_flag("--report", o->options.report, "with --mix: what the parts were worth; slower, the archive is the same");
  add_bits(*c, o->bits);
  c->add_flag("--embed", o->options.embed, "put the model inside: the archive needs nothing else");
  c->add_option("--streams", o->options.streams,
                "independent pieces of each 4 MiB (0: one per 128 KiB, one with --mix); more decode faster and cost "
                "some bytes each")
      ->capture_default_str();
  c->add_option(
       "--reach", o->options.reach,
       "tokens that a head sees (0: half the context); with learned positions, by how many windows overlap (0: a "
       "quarter); more: slower")
      ->capture_default_str();
  c->add_flag("--force", o->force, "replace the archive if it exists");
  c->callback([o] { run(*o); });
}

void add_decompress(CLI::App& app) {
  auto o = std::make_shared<Decompressing>();
  CLI::App* c = add_command(app, "decompress", "the files of an archive",
                            "crate decompress out/play.crz --model out/demo-crate-lm -o out/play.txt", *o);
  add_reading(*c, *o);
  c->add_option("-o,--out", o->out, "the file, or the folder for several; - for standard output");
  c->add_flag("--force", o->force, "replace files that exist");
  c->callback([o] { run_decompress(*o); });
}

void add_test(CLI::App& app) {
  auto o = std::make_shared<Decompressing>();
  CLI::App* c =
      add_command(app, "test", "is an archive whole?", "crate test out/play.crz --model out/demo-crate-lm", *o);
  add_reading(*c, *o);
  c->callback([o] { run_test(*o); });
}

void add_quantize(CLI::App& app) {
  auto o = std::make_shared<Quantizing>();
  CLI::App* c = add_command(app, "quantize", "a model as small integers, entropy-coded: what it weighs as a program",
                            "crate quantize out/demo-crate-lm --bits 6 -o out/demo.crq", *o);
  c->add_option("model", o->model, "a model directory")->required();
  c->add_option("-o,--out", o->out, "the file");
  c->add_option("--text", o->text, "text to listen to: rounding errors are then fed back to where they hurt least");
  c->add_option("--tune", o->tune, "steps of training on --text with the rounding in the loop, instead")
      ->check(not_negative());
  c->add_option("--rate", o->rate, "learning rate of --tune")->capture_default_str()->check(positive());
  add_bits(*c, o->bits);
  c->add_flag("--force", o->force, "replace the file if it exists");
  c->callback([o] { run_quantize(*o); });
}

}  // namespace crate::cli
