// pytorch_storage: where the numbers of a PyTorch file lie, and turning views of them into arrays.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "model/files/array.h"
#include "model/files/pickle.h"

namespace crate {

/// The pickle of a file and the bytes of its storages by key.
struct PytorchArchive {
  Pickle pickle;
  /// Finds (and verifies) the bytes of a key; throws Error when there are none.
  std::function<std::span<const std::byte>(const std::string& key)> storage;
};

/// Finds the parts of either format. `where` begins every Error.
PytorchArchive open_pytorch_zip(std::span<const std::byte> bytes, const std::string& where);
PytorchArchive open_pytorch_stream(std::span<const std::byte> bytes, const std::string& where);

/// Makes arrays of the tensors of one archive. Copies of views (transposed, expanded, ...) may take 16 MiB plus four
/// times the size of the file together; a view with stride 0 could otherwise ask for any amount.
class TensorReader {
 public:
  TensorReader(const PytorchArchive& archive, std::size_t file_size, std::shared_ptr<const void> owner);
  /// Throws Error, beginning with `where`, when the view does not lie inside its storage.
  Array read(const PickleNode& tensor, const std::string& where);

 private:
  struct View;
  View view_of(const PickleNode& tensor, const std::string& where) const;
  std::span<const std::byte> bytes_of(const PickleNode& storage, const std::string& where);

  const PytorchArchive& archive_;
  std::shared_ptr<const void> owner_;
  std::map<std::string, std::span<const std::byte>> seen_;
  std::size_t copies_left_;
};

}  // namespace crate
