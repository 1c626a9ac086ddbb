#include "model/files/pytorch_storage.h"

#include <cstring>
#include <utility>

#include "base/error.h"

namespace crate {

// n elements in all; size and stride per dimension, offset in elements of the storage.
struct TensorReader::View {
  FileDtype dtype = FileDtype::u8;
  std::vector<int64_t> size, stride;
  int64_t offset = 0, n = 0;

  bool contiguous() const {
    int64_t expected = 1;
    for (std::size_t i = size.size(); i-- > 0;) {
      if (size[i] != 1 && stride[i] != expected) return false;
      expected *= size[i];
    }
    return true;
  }

  /// One past the last element that the view touches, in elements of the storage; throws when that overflows.
  int64_t end(const std::string& where) const {
    int64_t last = offset;
    bool overflow = offset < 0;
    for (std::size_t i = 0; i < size.size(); ++i) {
      int64_t step = 0;
      overflow = overflow || stride[i] < 0 || __builtin_mul_overflow(size[i] - 1, stride[i], &step) ||
                 __builtin_add_overflow(last, step, &last);
    }
    require(!overflow && last < INT64_MAX, "{}: impossible offset or strides; the file is damaged", where);
    return last + 1;
  }

  template <std::size_t Width> void copy(const std::byte* from, std::byte* to) const {
    if (size.empty()) {
      std::memcpy(to, from, Width);
      return;
    }
    const std::size_t inner = size.size() - 1;
    std::vector<int64_t> index(size.size(), 0);
    for (int64_t done = 0; done < n; done += size[inner]) {
      int64_t at = 0;
      for (std::size_t i = 0; i < inner; ++i) at += index[i] * stride[i];
      for (int64_t j = 0; j < size[inner]; ++j, to += Width) {
        std::memcpy(to, from + (at + j * stride[inner]) * static_cast<int64_t>(Width), Width);
      }
      for (std::size_t i = inner; i-- > 0 && ++index[i] == size[i];) index[i] = 0;
    }
  }
};

TensorReader::TensorReader(const PytorchArchive& archive, std::size_t file_size, std::shared_ptr<const void> owner)
    : archive_(archive), owner_(std::move(owner)), copies_left_((std::size_t{16} << 20) + 4 * file_size) {}

TensorReader::View TensorReader::view_of(const PickleNode& tensor, const std::string& where) const {
  const Pickle& p = archive_.pickle;
  View view;
  view.dtype = tensor.dtype;
  view.offset = tensor.integer;
  for (const PickleRef r : p.at(tensor.items[1]).items) view.size.push_back(p.at(r).integer);
  for (const PickleRef r : p.at(tensor.items[2]).items) view.stride.push_back(p.at(r).integer);
  view.n = checked_numel(view.size, size_of(view.dtype), where);
  return view;
}

std::span<const std::byte> TensorReader::bytes_of(const PickleNode& storage, const std::string& where) {
  auto it = seen_.find(storage.text);
  if (it == seen_.end()) it = seen_.emplace(storage.text, archive_.storage(storage.text)).first;
  const int64_t expected = checked_numel({storage.integer}, size_of(storage.dtype), where);
  require(it->second.size() == static_cast<std::size_t>(expected) * size_of(storage.dtype),
          "{}: its storage '{}' must have {} elements of {}, the file holds {} bytes; the file is damaged", where,
          storage.text, expected, name_of(storage.dtype), it->second.size());
  return it->second;
}

Array TensorReader::read(const PickleNode& tensor, const std::string& where) {
  View view = view_of(tensor, where);
  const auto storage = bytes_of(archive_.pickle.at(tensor.items[0]), where);
  Array out{view.dtype, view.size, {}, owner_};
  if (view.n == 0) return out;
  const std::size_t width = size_of(view.dtype), bytes = static_cast<std::size_t>(view.n) * width;
  require(static_cast<std::size_t>(view.end(where)) <= storage.size() / width,
          "{}: the tensor {} reaches past the end of its storage; the file is damaged", where, out.shape_str());
  const auto from = storage.subspan(static_cast<std::size_t>(view.offset) * width);
  if (view.contiguous()) {
    out.bytes = from.first(bytes);
    return out;
  }
  require(bytes <= copies_left_, "{}: the tensor {} is a view much larger than the file; refused", where,
          out.shape_str());
  copies_left_ -= bytes;
  auto buffer = std::make_shared<std::vector<std::byte>>(bytes);
  switch (width) {
    case 1:
      view.copy<1>(from.data(), buffer->data());
      break;
    case 2:
      view.copy<2>(from.data(), buffer->data());
      break;
    case 4:
      view.copy<4>(from.data(), buffer->data());
      break;
    default:
      view.copy<8>(from.data(), buffer->data());
  }
  out.bytes = *buffer;
  out.owner = std::move(buffer);
  return out;
}

}  // namespace crate
