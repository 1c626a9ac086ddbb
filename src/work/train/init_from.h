// init_from: the weights of one model as the beginning of another: fine-tuning, at other classes and another image
// size.
#pragma once
#include <string>

#include "model/checkpoint.h"
#include "model/model.h"

namespace crate {

/// Takes every parameter of the model that the directory's model has too. The head stays as it was initialised when the
/// classes differ or the directory's model has none; positions are resampled to the model's grid of patches. Of a
/// masked auto-encoder the encoder is taken, its patches turned into this family's order; the norms around CRATE's
/// patches, which it does not have, stay as initialised. Throws Error naming the first parameter that has no
/// counterpart of its shape.
void init_from(Model& model, const std::string& folder);

/// The weights of a checkpoint of the same model, to go on. Throws Error when it holds another.
void resume_model(Model& model, const DirectoryReader& directory);

}  // namespace crate
