// pytorch: checkpoints of torch.save (.pth, .pt, .pth.tar), in the zip format (PyTorch 1.6 and newer) and the older
// stream format, and state dicts that torch.load reads. The pickle inside is read by pickle.h, which runs nothing.
//
// A tensor is a view of a storage: element (i, j, ...) lies at offset + i stride_0 + j stride_1 + ... It becomes an
// Array, row-major: in place where the view is already contiguous, as a copy otherwise.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/files/array.h"
#include "model/files/safetensors.h"

namespace crate {

struct PytorchOptions {
  /// Where training scripts keep the state dict inside their checkpoint; the first of these that holds tensors counts.
  std::vector<std::string> nested_in = {"state_dict", "model", "model_state_dict", "net"};
  /// What wrappers (DataParallel, torch.compile) put before every name; dropped when every name has it.
  std::vector<std::string> dropped_prefixes = {"module.", "_orig_mod."};
};

struct PytorchFile {
  ArrayMap tensors;
  std::string plain;  // everything that is no tensor, as a JSON object (see pickle_json.h), e.g. {"model_args": {...}}
};

/// Maps the file. Throws Error naming the file when it is damaged, truncated, big-endian, not a state dict, or asks for
/// a name that is not on the allow-list; nothing in the file is ever run.
PytorchFile read_pytorch(const std::string& path, const PytorchOptions& options = {});
/// The same on bytes in memory kept alive by `owner`; `name` appears in errors.
PytorchFile parse_pytorch(std::span<const std::byte> bytes, const std::shared_ptr<const void>& owner,
                          const std::string& name, const PytorchOptions& options = {});

/// Atomic. An OrderedDict of tensors on the CPU in the order given, zip format, pickle protocol 2. Tensors that view
/// the same bytes share one storage, so tied weights stay tied. Throws Error for U16, which PyTorch 1 and 2.0 do not
/// know.
void write_pytorch(const std::string& path, const std::vector<TensorToWrite>& tensors);

}  // namespace crate
