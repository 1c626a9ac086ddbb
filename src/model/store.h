// store: the parameters of a model by name, with their gradients. One walk in a fixed order serves init, load, save,
// clip, update and count.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

#include "run/param.h"
#include "tensor/device.h"

namespace crate {

class ParameterStore {
 public:
  explicit ParameterStore(Device& device) : device_(device) {}
  ~ParameterStore();
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  /// A new parameter (values not set). Decayed when it has two or more dimensions. The address stays valid.
  Param& add(const std::string& name, Shape shape);
  /// Throws Error when there is none of that name.
  Param& at(std::string_view name);
  bool has(std::string_view name) const { return index_.contains(std::string(name)); }

  std::deque<Param>& all() { return params_; }
  const std::deque<Param>& all() const { return params_; }
  /// Numbers in all parameters.
  int64_t count() const;

  /// Memory for the gradients; once.
  void allocate_grads();
  /// The next backward sets instead of adding.
  void forget_grads();
  /// Values changed: packed copies of the old ones must not be used.
  void values_changed();

 private:
  Device& device_;
  std::deque<Param> params_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace crate
