#include "work/mdl/model_row.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "model/checkpoint.h"
#include "model/cost.h"
#include "model/parameters.h"
#include "work/compress/error_feedback.h"
#include "work/compress/packed_model.h"
#include "work/mdl/program.h"

namespace crate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

double share_of_zeros(const QuantizedModel& model) {
  double zeros = 0, all = 0;
  for (const auto& [name, matrix] : model.matrices) {
    zeros += static_cast<double>(std::count(matrix.values.begin(), matrix.values.end(), int8_t{0}));
    all += static_cast<double>(matrix.values.size());
  }
  return all > 0 ? zeros / all : 0;
}

Coder coder_under(const std::string& crate, const std::string& model, const std::string& isa = "") {
  const std::vector<std::string> variables =
      isa.empty() ? std::vector<std::string>{} : std::vector<std::string>{"CRATE_ISA=" + isa};
  return {"crate compress",
          "",
          {{crate, "compress", "%i", "--model", model, "-o", "%o", "--threads", "1", "--force", "--json"}, "", {}},
          {{crate, "decompress", "%o", "--model", model, "-o", "%b", "--threads", "1", "--force", "--json"},
           "",
           variables}};
}

// The model at one width: its size and the sample under it.
json at_width(const ModelBench& bench, LanguageModel& model, const std::string& file, int width) {
  const QuantizedModel rounded = width < 8 ? quantize_with_feedback(model, width, bench.listened) : quantize(model, 8);
  const std::string packed = pack_model(rounded);
  write_atomically(file, packed);
  const Coded coded = code_file(coder_under(bench.crate, file), bench.sample, bench.folder + "/coding");
  require(coded.exact, "{} does not decode the sample it coded: please report this", file);
  return {{"weight_bits", 8 * packed.size()},
          {"zero_weights", share_of_zeros(rounded)},
          {"archive", coded.archive},
          {"raw", coded.raw},
          {"encode_seconds", coded.encode_seconds},
          {"decode_seconds", coded.decode_seconds},
          {"memory", coded.memory}};
}

// With which kernels of this machine an archive decodes to the same bytes.
json instruction_sets(const ModelBench& bench, const std::string& file) {
  std::string seen;
  for (const char* isa : {"baseline", "avx2", "vnni"}) {
    const ProgramCall probe{{bench.crate, "compress", bench.little, "--model", file, "-o", "/dev/null", "--force"},
                            "",
                            {std::string("CRATE_ISA=") + isa}};
    if (run_program(probe).code != 0) continue;  // this processor has it not
    if (code_file(coder_under(bench.crate, file, isa), bench.little, bench.folder + "/coding").exact)
      seen += (seen.empty() ? "" : ", ") + std::string(isa);
  }
  return seen;
}

}  // namespace

Measured::Measured(std::string folder) : folder_(std::move(folder)) { fs::create_directories(folder_); }

json Measured::once(const std::string& key, const std::function<json()>& make) const {
  const std::string path = folder_ + "/" + key + ".json";
  if (fs::exists(path)) {
    json old = json::parse(read_text_file(path), nullptr, false);
    require(!old.is_discarded(), "{} is damaged; delete it, and that is measured again", path);
    return old;
  }
  json made = make();
  write_atomically(path, made.dump() + "\n");
  return made;
}

LengthRow model_row(const ModelBench& bench, const std::string& name, const std::string& directory) {
  Device device;
  const std::unique_ptr<LanguageModel> model = load_language_model(device, directory);
  const ModelConfig& config = model->config();
  const auto parameters = static_cast<double>(count_parameters(config).all);
  LengthRow row;
  ModelLength length{.family = name_of(config.family),
                     .dim = config.dim,
                     .layers = config.layers,
                     .parameters = parameters,
                     .flops_a_byte = decode_cost(config, config.context - 1).flops,
                     .fp16_bits = 16 * parameters};
  const auto file_at = [&](int width) { return fmt::format("{}/{}-{}.crq", bench.folder, name, width); };
  std::vector<int> widths = bench.widths;
  if (std::find(widths.begin(), widths.end(), 8) == widths.end()) widths.push_back(8);
  for (const int width : widths) {
    if (bench.doing) bench.doing(fmt::format("{}: {} bits a weight", name, width));
    const json at = bench.measured->once(fmt::format("{}-{}", name, width),
                                         [&] { return at_width(bench, *model, file_at(width), width); });
    const auto weight_bits = at["weight_bits"].get<double>(), raw = at["raw"].get<double>();
    if (width == 8) length.int8_bits = weight_bits;
    const double data_bits = 8 * at["archive"].get<double>() * static_cast<double>(bench.bytes) / raw;
    if (length.best_bits > 0 && weight_bits + data_bits >= length.best_bits + row.data_bits) continue;
    length.best = width;
    length.best_bits = weight_bits;
    length.zero_weights = at["zero_weights"].get<double>();
    row.data_bits = data_bits;
    row.encode_speed = raw / at["encode_seconds"].get<double>();
    row.decode_speed = raw / at["decode_seconds"].get<double>();
    row.memory = at["memory"].get<int64_t>();
  }
  row.exact = bench.measured->once(name + "-exact", [&] { return instruction_sets(bench, file_at(length.best)); });
  row.model = length;
  return row;
}

}  // namespace crate
