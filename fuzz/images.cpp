// Any bytes as a set of images: a tar, IDX, CIFAR, a list, plain or gzip, with labels or without. An Error, or images
// that decode or say why not.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/error.h"
#include "work/image/set.h"

namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 5> names = {"set.tar", "train-images-idx3-ubyte", "data_batch_1.bin", "list.tsv",
                                              "train-images-idx3-ubyte.gz"};

void use(const crate::ImageSet& set) {
  const auto classes = static_cast<int>(set.classes().size());
  for (int64_t i = 0; i < std::min<int64_t>(set.size(), 20); ++i) {
    if (set.label(i) < -1 || set.label(i) >= std::max(classes, 0)) std::abort();
    try {
      if (set.decode(i).pixels.empty()) std::abort();
    } catch (const crate::Error&) {
    }
  }
}

}  // namespace

// The first byte chooses the name and the options, which decide what the rest is taken for.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  static const fs::path folder = fs::temp_directory_path() / fmt::format("crate_fuzz_images_{}", getpid());
  fs::create_directories(folder);
  const fs::path path = folder / names[data[0] % names.size()];
  std::ofstream(folder / "train-labels-idx1-ubyte", std::ios::binary).write("\0\0\x08\x01\0\0\0\x02\0\x01", 10);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data) + 1, static_cast<std::streamsize>(size - 1));
  crate::ImageSource options{.split = data[0] & 64 ? "train" : "", .need_labels = (data[0] & 128) != 0};
  options.limits.pixels = 1 << 20;
  try {
    use(*crate::open_images(path, options));
  } catch (const crate::Error&) {
  }
  fs::remove(path);
  return 0;
}
