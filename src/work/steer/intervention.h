// intervention: changes what single atoms hold while a model runs.
//
// Written as text: SITE:ATOMS[@POSITIONS][=VALUE], for instance
//   blocks.3.ista.code:205          atom 205 of layer 3, at every token
//   blocks.3.ista.code:205@17=2.5   at token 17 only
//   blocks.3.ista.code:17:205       the same, spelled as explanations name a unit (site:position:atom)
//   blocks.0.mlp.hidden:1,4-7       atoms 1, 4, 5, 6, 7
// Atoms count along the last dimension of the site. A position is the place of a token in its text, from 0: the same
// token whatever the cache, the batch or the window it is computed in.
//
// The tap works on one token's numbers at a time and never looks at others, so cached, uncached, batched and single
// runs change the same numbers in the same way.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "run/tap.h"

namespace crate {

/// x <- value * x, x <- value, x <- x + value. To ablate is to scale by 0.
enum class Change : uint8_t { scale, set, add };

const char* name_of(Change change);
/// Throws Error when the text names none.
Change change_named(std::string_view name);

/// from .. to, both included.
struct IndexRange {
  int64_t from = 0, to = 0;
  bool has(int64_t i) const { return from <= i && i <= to; }
};

struct Intervention {
  std::string site;
  std::vector<IndexRange> atoms;
  std::vector<IndexRange> positions;  // empty: every token
  Change change = Change::scale;
  double value = 0;
};

/// "3", "1,4-7". Throws Error naming `where`.
std::vector<IndexRange> parse_ranges(std::string_view text, std::string_view where);
/// With `=VALUE` for everything but an ablation, which is written without. Throws Error.
Intervention parse_intervention(Change change, std::string_view text);
Intervention parse_ablation(std::string_view text);
/// "blocks.3.ista.code:205@17=2.5": what parse_intervention reads.
std::string to_text(const Intervention& intervention);

/// How many numbers a token has at a site that can be changed. Throws Error, naming the sites there are, for others:
/// attention patterns have no atoms, and ista.pre and ista.code0 are only looked at.
int64_t site_width(const ModelConfig& config, std::string_view site);

/// In the order given. Readable sites are passed on to `listener`, which sees the changed values.
class InterventionTap final : public Tap {
 public:
  /// Throws Error when a site or an atom does not exist in such a model.
  InterventionTap(std::vector<Intervention> changes, const ModelConfig& config, Tap* listener = nullptr);

  /// The place in its text of the first token of the coming run; 0 unless said.
  void begin_at(int64_t position) { first_ = position; }
  void set_listener(Tap* listener) { listener_ = listener; }

  bool wants(std::string_view site) override { return listener_ && listener_->wants(site); }
  void see(std::string_view site, const Tensor& value) override { listener_->see(site, value); }
  bool edits(std::string_view site) override;
  void edit(std::string_view site, const Tensor& value) override;
  const std::vector<Intervention>& changes() const { return changes_; }

 private:
  std::vector<Intervention> changes_;
  Tap* listener_;
  int64_t first_ = 0;
};

}  // namespace crate
