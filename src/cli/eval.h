// eval: the options of `crate eval` and the part of it that is about images.
#pragma once
#include <string>
#include <vector>

#include "cli/changes.h"
#include "cli/command.h"
#include "work/eval/evaluate.h"

namespace crate::cli {

struct EvalCommand : Common {
  std::vector<std::string> models;
  std::string data, part = "val", dtype = "f32";
  // Text.
  std::string json_field = "text", document_prefix;
  EvalOptions text;
  ChangeOptions changes;
  double tail = 1.0;
  // Images.
  int64_t max_images = 0;
  int resize = -1;            // short side before the middle is cut out; -1: as the model's size suggests
  int height = 0, width = 0;  // 0: the model's
  std::string train_data, train_part = "train";
  int64_t neighbours = 0;  // of k-NN evaluation; 0: none
  bool probe = false;
};

/// Every model of the command on images; prints.
void eval_images(const EvalCommand& command);

}  // namespace crate::cli
