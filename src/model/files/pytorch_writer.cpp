// A state dict as torch.save writes it: an OrderedDict of torch._utils._rebuild_tensor_v2(storage, offset, size,
// stride, requires_grad, hooks), pickle protocol 2, the storages as persistent ids beside it in a zip archive.
#include <cstring>
#include <filesystem>
#include <map>
#include <tuple>

#include "base/error.h"
#include "model/files/pickle_text.h"
#include "model/files/pytorch.h"
#include "model/files/zip.h"

namespace crate {
namespace {

const char* storage_class(FileDtype dtype, const std::string& where) {
  switch (dtype) {
    case FileDtype::boolean:
      return "BoolStorage";
    case FileDtype::u8:
      return "ByteStorage";
    case FileDtype::i8:
      return "CharStorage";
    case FileDtype::i16:
      return "ShortStorage";
    case FileDtype::i32:
      return "IntStorage";
    case FileDtype::i64:
      return "LongStorage";
    case FileDtype::f16:
      return "HalfStorage";
    case FileDtype::bf16:
      return "BFloat16Storage";
    case FileDtype::f32:
      return "FloatStorage";
    case FileDtype::f64:
      return "DoubleStorage";
    case FileDtype::u16:
      break;
  }
  fail("{}: PyTorch has no storage for {}; choose another type", where, name_of(dtype));
}

/// The instructions of the pickle, by the values they push.
class PickleWriter {
 public:
  PickleWriter() : out_("\x80\x02", 2) {}
  void raw(std::string_view ops) { out_ += ops; }
  void global(std::string_view module, std::string_view name) { out_ += fmt::format("c{}\n{}\n", module, name); }
  void text(std::string_view value) {
    const auto size = static_cast<uint32_t>(value.size());
    number('X', &size, sizeof(size));
    out_ += value;
  }
  void integer(int64_t value) {
    if (value == static_cast<int32_t>(value)) return number('J', &value, 4);
    out_ += '\x8A';
    number('\x08', &value, 8);
  }
  void tuple(const std::vector<int64_t>& values) {
    out_ += '(';
    for (const int64_t v : values) integer(v);
    out_ += 't';
  }
  const std::string& str() const { return out_; }

 private:
  void number(char op, const void* value, std::size_t size) {
    out_ += op;
    out_.append(static_cast<const char*>(value), size);
  }
  std::string out_;
};

std::vector<int64_t> row_major(const std::vector<int64_t>& shape) {
  std::vector<int64_t> stride(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) stride[i - 1] = stride[i] * std::max<int64_t>(shape[i], 1);
  return stride;
}

void put_tensor(PickleWriter& p, const TensorToWrite& t, std::size_t key, const std::string& where) {
  p.text(t.name);
  p.global("torch._utils", "_rebuild_tensor_v2");
  p.raw("((");
  p.text("storage");
  p.global("torch", storage_class(t.dtype, where));
  p.text(std::to_string(key));
  p.text("cpu");
  p.integer(static_cast<int64_t>(t.bytes.size() / size_of(t.dtype)));
  p.raw("tQ");
  p.integer(0);
  p.tuple(t.shape);
  p.tuple(row_major(t.shape));
  p.raw("\x89");
  p.global("collections", "OrderedDict");
  p.raw(")RtR");
}

}  // namespace

void write_pytorch(const std::string& path, const std::vector<TensorToWrite>& tensors) {
  PickleWriter pickle;
  std::map<std::tuple<const std::byte*, std::size_t, FileDtype>, std::size_t> keys;
  std::vector<std::span<const std::byte>> storages;
  std::map<std::string, int> names;
  pickle.global("collections", "OrderedDict");
  pickle.raw(")R(");
  for (const TensorToWrite& t : tensors) {
    const std::string where = path + ": tensor " + t.name;
    const auto n = static_cast<std::size_t>(checked_numel(t.shape, size_of(t.dtype), where));
    require(t.bytes.size() == n * size_of(t.dtype), "{}: has {} bytes, its shape needs {}", where, t.bytes.size(),
            n * size_of(t.dtype));
    require(names.emplace(t.name, 0).second, "{}: is written twice", where);
    require(is_utf8(t.name), "{}: the name is not UTF-8", where);
    const auto [it, fresh] = keys.try_emplace({t.bytes.data(), t.bytes.size(), t.dtype}, storages.size());
    if (fresh) storages.push_back(t.bytes);
    put_tensor(pickle, t, it->second, where);
  }
  pickle.raw("u.");
  // PyTorch names the folder inside the archive after the file.
  std::string prefix = std::filesystem::path(path).stem().string();
  if (prefix.empty() || prefix.size() > 200) prefix = "archive";
  AtomicFile file(path);
  ZipWriter zip(file);
  zip.add(prefix + "/data.pkl", std::as_bytes(std::span(pickle.str())));
  zip.add(prefix + "/byteorder", std::as_bytes(std::span(std::string_view("little"))));
  for (std::size_t i = 0; i < storages.size(); ++i) zip.add(fmt::format("{}/data/{}", prefix, i), storages[i]);
  zip.add(prefix + "/version", std::as_bytes(std::span(std::string_view("3\n"))));
  zip.finish();
  file.commit();
}

}  // namespace crate
