// experiment: several recipes ("arms") to be trained on the same text, in the same order, under one budget, as a TOML
// file:
//
//   [compare]
//   recipe = "shakespeare.toml"     # what all arms share; beside this file, or from here
//   reference = "twin"              # the arm whose budget the others are sized to, and the one they are compared with
//   match = "parameters"            # none, parameters, flops, both or time
//   seeds = [1, 2, 3]
//   lr = [1e-3, 2e-3, 4e-3]         # optional: learning rates every arm tries once, with the first seed
//   lr_steps = 200                  # steps of such a try; 0: as many as a run, and the best is the first seed's run
//   controls = ["untrained"]        # optional: untrained, rotated (controls.h)
//
//   [arm.white]
//   model.family = "crate-lm"       # a section.key of a recipe, over the shared one; not what all arms must share:
//                                   # text, vocabulary, context, batch, steps and schedule
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "work/train/recipe.h"

namespace crate {

enum class Match : uint8_t { none, parameters, flops, both, time };
enum class Control : uint8_t { untrained, rotated };

const char* name_of(Match match);
const char* name_of(Control control);
/// Throws Error on an unknown name; `where` says who asked.
Control control_of(const std::string& name, const std::string& where);

struct Arm {
  std::string name;
  std::vector<std::string> set;  // "section.key=value", over the shared recipe
  Recipe recipe;                 // with them
};

struct Experiment {
  std::string path;       // the file, for messages
  std::string recipe;     // path of the shared recipe
  std::string reference;  // name of an arm
  Match match = Match::none;
  std::vector<uint64_t> seeds = {1, 2, 3};
  std::vector<double> rates;  // empty: each arm's own optimizer.lr
  int64_t rate_steps = 200;   // 0 in the file: those of a run
  std::vector<Control> controls;
  std::vector<Arm> arms;  // by name

  const Arm& reference_arm() const;
};

/// `overrides` ("section.key=value") reach every arm, or with section `compare` the experiment itself. Throws Error
/// naming file and key.
Experiment load_experiment(const std::string& path, const std::vector<std::string>& overrides = {});

}  // namespace crate
