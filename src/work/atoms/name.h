// name: a short text that says where an atom is active, and whether it says more than chance.
//
// A name is itself a simulator, no more than what it reads: a few tokens ("the", "a": their mean activations, else the
// atom's mean), a few pairs of tokens, one feature, or two features together. Candidates come from the documents not
// held out; the one that correlates best with the excerpts of these is the guess, one token or feature being preferred
// to a list that is hardly better. Its score is the correlation on held-out excerpts, top and random.
//
// The null: predictions are given to other excerpts, each turned round by a random number of tokens, so that labels
// keep their frequency and their neighbours but not their place. p = (1 + permutations at least as good) /
// (1 + permutations). A guess becomes the name when p is at most the level and the score at least a floor.
#pragma once
#include <string>
#include <vector>

#include "work/atoms/index.h"
#include "work/atoms/simulate.h"

namespace crate {

struct NameOptions {
  int permutations = 199;
  double level = 0.01;       // of p
  double least_score = 0.1;  // of the correlation
  uint64_t seed = 1;
};

/// What an atom's index entry says about meaning.
struct Meaning {
  std::string name, guess, kind;
  double score = 0, p_value = 1;
  std::vector<SimulatorScore> scores;
  std::vector<ConceptMatch> concepts;  // best by F1 on the documents not held out, at most 5
};

/// The examples of one atom, from both halves.
struct AtomExamples {
  ExampleSet train, top_and_random, random_only;
};
AtomExamples examples_of(const Observation& seen, const Windows& windows, int64_t layer, int64_t atom);

Meaning meaning_of(const Observation& seen, int64_t layer, int64_t atom, const AtomExamples& examples,
                   const NameOptions& options);

/// The chance that permuted labels correlate at least as well with the activations as `predicted` does.
double permutation_p(const ExampleSet& set, const std::vector<float>& predicted, const NameOptions& options,
                     uint64_t address);

}  // namespace crate
