// archive: files of any bytes as one archive under a byte-level model, and back.
//
//   "CRZ1"  version of the arithmetic  mode  then by mode
//     0 the reader has the model    reach (2 bytes)  first 16 bytes of the model's SHA-256
//     1 it is inside                reach (2 bytes)  length (varint), packed model
//     2 it learns while it codes    length (varint), packed LearningOptions
//     3, 4  as 0, 1, and it learns on while it codes   length (varint), packed LearningOptions, then as there, no reach
//   (mode + 16: mixed with statistics, mixer.h; modes 0 and 1 then have the streams of a segment, 2 bytes, after reach)
//   check of behaviour (4 bytes)  4 bytes of the SHA-256 of all this
//   then records: 1 name (length, bytes): a file begins      2 segment (see below)      0 the end
//   segment: raw size, method (0 stored, 1 coded), payload size (varints), 8 bytes of SHA-256 of the payload, 8 of the
//   raw bytes, payload
//
// The check is what the model's logits on a fixed text hash to (modes 2 to 4: the weights after a little learning): a
// machine that would compute other numbers finds out before it decodes. A single file has no name record, so that an
// archive is never more than 0.1 % + 64 bytes larger than its content: a segment that does not get smaller is stored.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "work/compress/mixer.h"
#include "work/compress/online_learner.h"
#include "work/compress/quantized.h"

namespace crate {

/// Fills at most `size` bytes and says how many; 0 is the end.
using Source = std::function<std::size_t(char* to, std::size_t size)>;
/// Bytes in memory as a source.
Source source_of(std::string bytes);
using Sink = std::function<void(std::string_view bytes)>;

struct InputFile {
  std::string name;  // without a folder
  Source source;
};

struct CompressProgress {
  int64_t raw = 0, coded = 0;  // bytes so far; coded grows by segments
};

struct CompressOptions {
  bool embed = false;  // put the model inside
  int64_t streams =
      0;  // a segment of 4 MiB; 0: one per 128 KiB, mixed: one. More are faster to decode and cost some bytes
  int64_t reach = 0;    // tokens that a head sees or that windows overlap by, 1 .. context; 0: half, and a quarter
  bool mix = false;     // with the statistics of mixer.h
  bool report = false;  // with mix: what the parts were worth
  std::optional<LearningOptions> learning =
      {};  // the model learns on while it codes; reach and streams say nothing then
  std::function<void(const CompressProgress&)> progress = {};
};

struct CompressResult {
  int64_t raw = 0, archive = 0;
  int64_t model = 0;    // bytes of the packed model, inside the archive or not
  int64_t weights = 0;  // numbers in it
  int64_t streams = 0;  // coded apart from each other, of all segments; 0: none
  double cuts = 0;      // bits by which they are dearer than one stream a segment
  double seconds = 0;
  MixReport mixed;  // where it was asked for
};

/// Throws Error.
CompressResult compress(const QuantizedModel& model, const std::vector<InputFile>& files, const Sink& sink,
                        const CompressOptions& options = {});
/// With a model that begins knowing nothing.
CompressResult compress_online(const LearningOptions& learning, const std::vector<InputFile>& files, const Sink& sink,
                               const CompressOptions& options = {});

struct DecompressOptions {
  std::string where = "the archive";  // for messages
  /// The model, when the archive has none inside: asked for once, may throw.
  std::function<QuantizedModel()> model = {};
  /// Called when a file begins ("" in an archive of one file without a name); what follows it goes to the result.
  std::function<Sink(const std::string& name)> open = {};
  bool decode = true;  // false: only the checksums of the payloads, no model needed
  std::function<void(const CompressProgress&)> progress = {};
};

/// Throws Error on damage, on another model than the archive's, and on a machine that computes other numbers; bytes
/// given to a sink before that were checked.
CompressResult decompress(const Source& source, const DecompressOptions& options);

}  // namespace crate
