// controls: the same model without what training was to find, so that a number can be held against it.
//
//   untrained   the weights as they were drawn
//   rotated     the trained weights, but the directions in which each half of a block reads and writes the residual
//               stream turned by a random rotation Q of its own: U -> U Q', W -> Q W, D -> D turned atom by atom.
//               Norms, spectra and the coherence of a dictionary stay; that they fit the stream does not.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/files/array.h"

namespace crate {

/// A rotation of d dimensions (row-major, orthonormal rows, uniform over the orthogonal group), addressed.
std::vector<double> random_rotation(int64_t d, uint64_t seed, uint64_t address);

/// The values of a parameter of a model of width d after its half of the block was turned; unchanged where the
/// parameter does not touch the stream.
std::vector<float> turned(const std::string& name, const Array& value, int64_t d, uint64_t seed);

/// Turns the weights of a model directory; everything else there stays. Throws Error.
void turn_model(const std::string& folder, uint64_t seed);

}  // namespace crate
