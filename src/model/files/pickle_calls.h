// pickle_calls: the names a pickle may mention, and the value that calling each of them stands for. No Python is run:
// every row of the list is a few lines of our own that build a node.
#pragma once
#include <string>
#include <string_view>

#include "model/files/pickle.h"

namespace crate {

/// The node of `module.name`. Throws Error naming it when it is not on the list.
PickleNode pickle_global(std::string_view module, std::string_view name, const std::string& where);

/// callable(*args), for a callable that pickle_global gave and a tuple of arguments. Throws Error on wrong arguments.
PickleNode pickle_call(const Pickle& pickle, const PickleNode& callable, const PickleNode& args,
                       const std::string& where);

/// The storage behind a persistent id: ('storage', class, key, location, number of elements [, None]).
PickleNode pickle_storage(const Pickle& pickle, const PickleNode& id, const std::string& where);

/// Whether BUILD gives the dict its state as entries (a plain object) or as attributes that do not concern us.
bool takes_state_as_entries(const PickleNode& dict);

}  // namespace crate
