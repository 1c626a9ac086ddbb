#include "work/steer/edit.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "model/checkpoint.h"

namespace crate {
namespace {

using nlohmann::json;

constexpr const char *weights_name = "model.safetensors", *record_name = "edit.json";

// A row or a column of a matrix, or one number of a vector (a column of a matrix with one row).
struct Slice {
  std::string tensor;
  bool column = false;
  int64_t index = 0;
  std::string text() const { return fmt::format("{} {} {}", tensor, column ? "column" : "row", index); }
};

// A weight file in memory, its F32 tensors writable.
class Weights {
 public:
  explicit Weights(const std::string& path) : path_(path), bytes_(read_text_file(path)) {
    const auto all = std::as_bytes(std::span(bytes_));
    tensors_ = parse_safetensors(all, nullptr, path).tensors;
  }

  const std::string& bytes() const { return bytes_; }
  std::string hash() const { return sha256_hex(std::as_bytes(std::span(bytes_))); }
  bool has(const std::string& name) const { return tensors_.contains(name); }
  int64_t numel(const std::string& name) const { return array(name).numel(); }

  std::vector<float> read(const Slice& s) const {
    std::vector<float> out;
    walk(s, [&](std::size_t offset) {
      float x = 0;
      std::memcpy(&x, bytes_.data() + offset, sizeof(x));
      out.push_back(x);
    });
    return out;
  }
  void write(const Slice& s, const std::vector<float>& values) {
    std::size_t i = 0;
    walk(s, [&](std::size_t offset) {
      require(i < values.size(), "{}: {} has more than {} numbers", path_, s.text(), values.size());
      std::memcpy(bytes_.data() + offset, &values[i++], sizeof(float));
    });
    require(i == values.size(), "{}: {} has {} numbers, came {}", path_, s.text(), i, values.size());
  }

 private:
  const Array& array(const std::string& name) const {
    const auto it = tensors_.find(name);
    require(it != tensors_.end(), "{} has no tensor {}", path_, name);
    require(it->second.dtype == FileDtype::f32, "{}: tensor {} is {}; only F32 weights can be edited", path_, name,
            name_of(it->second.dtype));
    return it->second;
  }

  template <class F> void walk(const Slice& s, F&& visit) const {
    const Array& a = array(s.tensor);
    require(a.shape.size() == 1 || a.shape.size() == 2, "{}: tensor {} is neither vector nor matrix", path_, s.tensor);
    const int64_t rows = a.shape.size() == 2 ? a.shape[0] : 1, cols = a.shape.back();
    require(s.index >= 0 && s.index < (s.column ? cols : rows), "{} has no {}", path_, s.text());
    const auto start = static_cast<std::size_t>(a.bytes.data() - reinterpret_cast<const std::byte*>(bytes_.data()));
    for (int64_t i = 0; i < (s.column ? rows : cols); ++i) {
      const int64_t at = s.column ? i * cols + s.index : s.index * cols + i;
      visit(start + static_cast<std::size_t>(at) * sizeof(float));
    }
  }

  std::string path_, bytes_;
  ArrayMap tensors_;  // their bytes view bytes_
};

// Where the atoms of one site live.
class Place {
 public:
  Place(const ModelConfig& config, const Weights& weights, std::string_view site) : config_(config) {
    const bool code = site.ends_with(".ista.code"), hidden = site.ends_with(".mlp.hidden");
    require(code || hidden, "{} has no rows that could be edited; .ista.code and .mlp.hidden have", site);
    atoms_ = site_width(config, site);
    block_ = site.substr(0, site.size() - std::string_view(code ? "ista.code" : "mlp.hidden").size());
    const std::string dict = block_ + "ista.dict";
    square_ = code && has_square_code(config.family);
    twin_ = hidden;
    untied_ = weights.has(dict + "_out");
  }

  int64_t atoms() const { return atoms_; }

  Slice written(int64_t atom) const {
    if (twin_) return {block_ + "mlp.w_out", true, atom};
    if (square_) return {block_ + "ista.dict", true, atom};
    return {block_ + (untied_ ? "ista.dict_out" : "ista.dict"), false, atom};
  }

  // All that must be 0 for the atom to be gone.
  std::vector<Slice> all(const Weights& weights, int64_t atom) const {
    std::vector<Slice> out = {written(atom)};
    const auto add = [&](const char* name, bool column) {
      if (weights.has(block_ + name)) out.push_back({block_ + name, column, atom});
    };
    if (twin_) {
      add("mlp.w_in", false);
      add("mlp.b_in", true);
    } else if (square_) {
      check_threshold(weights, atom);
      add("norm2.scale", true);
      add("norm2.shift", true);
    } else if (untied_) {
      add("ista.dict", false);
    }
    return out;
  }

 private:
  void check_threshold(const Weights& weights, int64_t atom) const {
    const std::string name = block_ + "ista.lambda";
    double lambda = 0;
    if (weights.has(name))
      lambda = weights.read({name, true, weights.numel(name) > 1 ? atom : 0}).front();
    else
      lambda = config_.lambda_of(std::stoll(block_.substr(std::string_view("blocks.").size())));
    require(lambda >= 0, "{}ista: the threshold of atom {} is {}: below 0 a square dictionary's atom cannot be removed",
            block_, atom, lambda);
  }

  const ModelConfig& config_;
  std::string block_;
  int64_t atoms_ = 0;
  bool square_ = false, twin_ = false, untied_ = false;
};

std::string hex_of(const std::vector<float>& values) {
  std::string out;
  for (const float x : values) {
    uint32_t bits = 0;
    std::memcpy(&bits, &x, sizeof(bits));
    out += fmt::format("{:08x}", bits);
  }
  return out;
}

std::vector<float> floats_of(const std::string& hex, const std::string& where) {
  std::vector<float> out;
  require(hex.size() % 8 == 0 && hex.find_first_not_of("0123456789abcdef") == std::string::npos,
          "{} is damaged: numbers are not hexadecimal", where);
  for (std::size_t i = 0; i < hex.size(); i += 8) {
    const auto bits = static_cast<uint32_t>(std::stoul(hex.substr(i, 8), nullptr, 16));
    std::memcpy(&out.emplace_back(), &bits, sizeof(bits));
  }
  return out;
}

const char* name_of(AtomEdit::Kind kind) {
  return kind == AtomEdit::Kind::remove ? "remove" : kind == AtomEdit::Kind::scale ? "scale" : "set";
}

// Slices change one after the other; each remembers what it replaced.
class Diff {
 public:
  explicit Diff(Weights& weights) : weights_(weights) {}

  void apply(const ModelConfig& config, const AtomEdit& e) {
    const Place place(config, weights_, e.site);
    for (const IndexRange& r : e.atoms) {
      require(r.to < place.atoms(), "{} has atoms 0 to {}, came {}", e.site, place.atoms() - 1, r.to);
      for (int64_t atom = r.from; atom <= r.to; ++atom) apply(place, e, atom);
    }
  }
  const json& slices() const { return slices_; }
  const std::vector<std::string>& touched() const { return touched_; }

 private:
  void apply(const Place& place, const AtomEdit& e, int64_t atom) {
    if (e.kind == AtomEdit::Kind::remove) {
      for (const Slice& s : place.all(weights_, atom)) change(s, std::vector<float>(weights_.read(s).size(), 0.0F));
      return;
    }
    const Slice s = place.written(atom);
    std::vector<float> values = e.row;
    if (e.kind == AtomEdit::Kind::scale) {
      values = weights_.read(s);
      for (float& x : values) x = static_cast<float>(x * e.factor);
    }
    change(s, values);
  }

  void change(const Slice& s, const std::vector<float>& values) {
    const std::vector<float> before = weights_.read(s);
    weights_.write(s, values);
    slices_.push_back({{"tensor", s.tensor},
                       {"axis", s.column ? "column" : "row"},
                       {"index", s.index},
                       {"before", hex_of(before)},
                       {"after", hex_of(values)}});
    touched_.push_back(s.text());
  }

  Weights& weights_;
  json slices_ = json::array();
  std::vector<std::string> touched_;
};

bool belongs_to_training(const std::string& name) {
  return name == "training.json" || name == "training_state.safetensors";
}

// Everything of `from` but its weights, its training state and its record.
void write_copy(const DirectoryReader& from, const std::string& out, const std::string& weights,
                const std::string& record) {
  require(std::filesystem::weakly_canonical(from.folder()) != std::filesystem::weakly_canonical(out),
          "{}: an edit is written to another folder", out);
  DirectoryWriter to(out);
  to.replace_all();
  for (const std::string& name : from.names()) {
    if (name == weights_name || name == record_name || belongs_to_training(name)) continue;
    to.text(name, read_text_file(from.path(name)));
  }
  to.text(weights_name, weights);
  if (!record.empty()) to.text(record_name, record);
  to.commit();
}

json read_record(const DirectoryReader& directory) {
  require(directory.has(record_name), "{} was not made by an edit: it has no {}", directory.folder(), record_name);
  const std::string path = directory.path(record_name);
  const json record = json::parse(read_text_file(path), nullptr, false);
  const auto is_text = [&](const char* key) { return record.contains(key) && record[key].is_string(); };
  require(record.is_object() && is_text("base") && is_text("result") && record.contains("slices") &&
              record["slices"].is_array(),
          "{} is damaged; restore it from a copy", path);
  return record;
}

}  // namespace

std::vector<float> written_row(const std::string& model, std::string_view site, int64_t atom) {
  const Weights weights(DirectoryReader(model).path(weights_name));
  return weights.read(Place(load_config(model), weights, site).written(atom));
}

EditSummary edit_model(const std::string& model, const std::vector<AtomEdit>& edits, const std::string& out) {
  const DirectoryReader from(model);
  const ModelConfig config = load_config(model);
  Weights weights(from.path(weights_name));
  EditSummary summary{weights.hash(), {}, {}};
  Diff diff(weights);
  json said = json::array();
  for (const AtomEdit& e : edits) {
    diff.apply(config, e);
    Intervention target{e.site, e.atoms, {}, Change::scale, e.factor};
    said.push_back({{"change", name_of(e.kind)}, {"target", to_text(target)}});
  }
  summary.result = weights.hash();
  summary.touched = diff.touched();
  json record = {{"format", "crate edit"},   {"base", summary.base},    {"result", summary.result},
                 {"edits", std::move(said)}, {"slices", diff.slices()}, {"previous", nullptr}};
  if (from.has(record_name)) record["previous"] = read_record(from);
  write_copy(from, out, weights.bytes(), record.dump(1) + "\n");
  return summary;
}

EditSummary undo_edit(const std::string& model, const std::string& out) {
  const DirectoryReader from(model);
  const json record = read_record(from);
  const std::string where = from.path(record_name);
  Weights weights(from.path(weights_name));
  EditSummary summary{record["base"], record["result"], {}};
  require(weights.hash() == summary.result, "{}: the weights changed after the edit; it cannot be undone", where);
  const json& slices = record["slices"];
  for (auto it = slices.rbegin(); it != slices.rend(); ++it) {
    try {
      const Slice s{it->at("tensor"), it->at("axis") == "column", it->at("index")};
      weights.write(s, floats_of(it->at("before"), where));
      summary.touched.push_back(s.text());
    } catch (const json::exception& e) {
      fail("{} is damaged: {}", where, e.what());
    }
  }
  require(weights.hash() == summary.base, "{} is damaged: undoing it does not give the weights it was made from",
          where);
  const bool earlier = record.contains("previous") && record["previous"].is_object();
  write_copy(from, out, weights.bytes(), earlier ? record["previous"].dump(1) + "\n" : "");
  return summary;
}

}  // namespace crate
