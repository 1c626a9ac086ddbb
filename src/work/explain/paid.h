// paid: which parts of a model paid for a byte: what it saved against a code that knows only how often each byte
// occurs.
//
//   q      shares of the bytes in a text, each counted once more than it came (order 0)
//   p      what the model says of the byte that follows; b the byte that does
//   saved = log2 p(b) - log2 q(b)
//
// log2 p is not linear in the parts, but this is an identity, for any logits l:
//
//   saved = [ l_b - sum_c q_c l_c ] / ln 2  -  H(q, p)  +  log2 1/q(b)       H(q, p) = sum_c q_c log2 1/p_c
//
// The bracket, the byte against an average byte of the text, is linear in the logits: it is the target of a walk
// (walk.h), and heads, atoms and embeddings give their parts of it exactly. What they gave to other bytes comes back in
// H(q, p), the price of being decided: it is no part's own, and at least the entropy of q. So a part's bits say how far
// it set this byte apart from the average one; all parts together must pay the price before anything is saved.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "work/explain/walk.h"

namespace crate {

/// q, a number for each of `scores` tokens; tokens beyond the bytes have none.
std::vector<double> order0_shares(std::string_view text, int64_t scores);

/// Of byte b after what the walk will read.
Target paid_target(uint8_t byte, std::vector<double> shares);

/// All in bits.
struct Payment {
  double model = 0, order0 = 0;  // what the byte costs under each
  double apart = 0;              // the bracket: what all parts give
  double price = 0;              // H(q, p)
  double entropy = 0;            // H(q)
  double saved() const { return order0 - model; }
};
/// Of a row whose target is a paid_target.
Payment payment_of(const Walk& walk, int64_t row);

}  // namespace crate
