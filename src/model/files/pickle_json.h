// pickle_json: the plain part of a pickle (numbers, texts, lists, dicts) as JSON, so that hyper-parameters can be read.
#pragma once
#include <string>

#include "model/files/pickle.h"

namespace crate {

/// Tensors are left out of dicts and null in lists; so are bytes and whole numbers beyond 64 bits. Keys that are whole
/// numbers become text, other keys that are not text are left out. NaN and infinity become null. Values shared many
/// times are cut short at about 4 MB of output, nesting at 64 levels (null).
std::string plain_json(const Pickle& pickle, const PickleNode& node);

}  // namespace crate
