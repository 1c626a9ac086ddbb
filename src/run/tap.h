// tap: listens at named sites of a run, or changes what flows there.
//
// A site is "embed.out", "blocks.3.mssa.pattern", "head.logits", ... The run asks `wants` before anything costly is
// computed: a kernel materialises an attention map only when somebody wants it. `see` reads, `edit` may write in place;
// editing is allowed only when the run does not record, because recorded nodes keep their outputs for the backward
// walk.
#pragma once
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace crate {

class Tap {
 public:
  virtual ~Tap() = default;
  virtual bool wants(std::string_view site) = 0;
  /// The tensor is valid during the call only.
  virtual void see(std::string_view site, const Tensor& value) = 0;
  /// True when edit() must be called for this site.
  virtual bool edits(std::string_view) { return false; }
  virtual void edit(std::string_view, const Tensor&) {}
};

/// Where a block's inner sites live: "blocks.3." + name; an empty prefix for operators outside a block.
struct Site {
  std::string prefix;  // "blocks.3.mssa."
  std::string at(std::string_view name) const { return prefix + std::string(name); }
};

}  // namespace crate
