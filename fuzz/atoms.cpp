// Any bytes as an index of atoms: an Error, or answers to everything that commands and pages ask of one.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

#include "base/error.h"
#include "work/atoms/export.h"
#include "work/atoms/index.h"

namespace {

/// The one file of this process, in memory where the system has such a folder.
std::string own_file() {
  const std::string folder = std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp";
  return folder + "/fuzz-atoms-" + std::to_string(getpid()) + ".sqlite";
}

void ask_all(crate::AtomIndex& index, const std::string& site, int64_t atom) {
  index.name_of(site, atom);
  index.record(site, atom);
  for (const crate::AtomContext& c : index.contexts(site, atom, 20)) {
    if (c.peak < 0 || c.peak >= static_cast<int64_t>(c.values.size())) std::abort();
    if (index.is_text() && c.texts.size() != c.values.size()) std::abort();
    index.title(c.document);
    if (!index.is_text()) index.patch_of(c);
  }
  index.random_contexts(site, atom, 20);
  index.raises(site, atom);
  index.lowers(site, atom);
  index.logit_histogram(site, atom);
  index.token_table(site, atom);
  index.related(site, atom);
  index.concepts(site, atom);
  index.scores(site, atom);
  crate::dashboard_batch(index, site, atom, 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  static const std::string path = own_file();
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    crate::AtomIndex index(path);
    for (const std::string& site : index.sites()) {
      for (int64_t atom = 0; atom < 4 && atom < index.atoms(site); ++atom) {
        try {
          ask_all(index, site, atom);
        } catch (const crate::Error&) {
        }
      }
    }
  } catch (const crate::Error&) {
  }
  return 0;
}
