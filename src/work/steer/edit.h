// edit: changes what single atoms of a model directory are, as a diff that can be undone.
//
// What an atom is depends on the family; the unit is named by its site, SITE:ATOM:
//   wide dictionary (blocks.i.ista.code)    row of ista.dict, which both finds and writes it; with a read-out of its
//                                           own, row of ista.dict_out
//   square dictionary (blocks.i.ista.code)  column of ista.dict (the authors' weight maps codes to the stream)
//   twins (blocks.i.mlp.hidden)             column of mlp.w_out
// To remove an atom is to make its code 0 for every input:
//   wide    its rows become 0: the code is relu(-eta lambda) and nothing reads it
//   square  its column and its scale and shift in norm2 become 0, since the code starts at the input itself; with a
//           threshold >= 0 nothing is left
//   twins   its row of w_in, its bias and its column of w_out become 0
// To scale or set one changes what it writes, and with a tied dictionary also what finds it.
//
// The weight file is patched in place: all other bytes stay. edit.json records, for each slice, the numbers before
// and after, and the hashes of the weight file, so that an undo gives the original bytes or refuses.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"
#include "work/steer/intervention.h"

namespace crate {

struct AtomEdit {
  enum class Kind : uint8_t { remove, scale, set };
  Kind kind = Kind::remove;
  std::string site;
  std::vector<IndexRange> atoms;
  double factor = 1;       // scale
  std::vector<float> row;  // set: what the atom writes, d numbers
};

struct EditSummary {
  std::string base, result;          // SHA-256 of the weights before and after
  std::vector<std::string> touched;  // "blocks.0.ista.dict row 5"
};

/// Writes the edited model to the folder `out`, which must be another one; training state is left behind. Throws Error
/// when an atom does not exist or the weights are not F32.
EditSummary edit_model(const std::string& model, const std::vector<AtomEdit>& edits, const std::string& out);
/// Takes the last edit back. Throws Error unless the weights are those the edit left, and come out as those before it.
EditSummary undo_edit(const std::string& model, const std::string& out);

/// What `atom` writes now, d numbers.
std::vector<float> written_row(const std::string& model, std::string_view site, int64_t atom);

}  // namespace crate
