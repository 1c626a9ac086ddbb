// command: what the commands of `crate` share: options, printing, progress. One command a file; main.cpp lists them.
#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "tensor/device.h"
#include "work/data/tokenizer.h"

namespace crate::cli {

/// Options every command has.
struct Common {
  bool json = false;  // one JSON object on stdout, nothing else there
  int threads = 0;    // 0: all cores
  std::string device = "cpu";
  uint64_t seed = 1;

  /// `dtype`: what the products read, "f32", "bf16" or "int8".
  DeviceOptions device_options(const std::string& dtype = "f32") const;
};

/// A subcommand with the common options; `example` ends its help.
CLI::App* add_command(CLI::App& app, const char* name, const char* description, const char* example, Common& common);

/// Numbers of 0 or more, and above 0; what they refuse is told in a few words.
CLI::Validator not_negative();
CLI::Validator positive();

/// One line on a terminal, rewritten in place; silent elsewhere.
class Progress {
 public:
  Progress();
  ~Progress() { clear(); }
  void show(const std::string& line);
  /// Removes the line, so that other output can follow.
  void clear();

 private:
  bool terminal_;
  bool shown_ = false;
};

/// True when stdout is a terminal and NO_COLOR is not set.
bool use_color();
std::string bold(const std::string& text);
/// "12.3k", "4.56M": three digits and a unit.
std::string short_number(double value);
std::string bar(double fraction, int width);

/// The tokenizer that belongs to a model directory; refuses one with more tokens than the model.
std::unique_ptr<Tokenizer> tokenizer_of(const std::string& model_folder);

void add_train(CLI::App& app);
void add_eval(CLI::App& app);
void add_generate(CLI::App& app);
void add_forward(CLI::App& app);
void add_info(CLI::App& app);
void add_import(CLI::App& app);
void add_export(CLI::App& app);
void add_data(CLI::App& app);
void add_ops(CLI::App& app);
void add_bench(CLI::App& app);
void add_grow(CLI::App& app);
void add_compare(CLI::App& app);
void add_scale(CLI::App& app);
void add_compress(CLI::App& app);
void add_decompress(CLI::App& app);
void add_test(CLI::App& app);
void add_quantize(CLI::App& app);
void add_report(CLI::App& app);
void add_atoms(CLI::App& app);
void add_explain(CLI::App& app);
void add_verify(CLI::App& app);
void add_steer(CLI::App& app);
void add_edit(CLI::App& app);
void add_mdl(CLI::App& app);
void add_measure(CLI::App& app);
void add_attention(CLI::App& app);
void add_segment(CLI::App& app);
void add_pca(CLI::App& app);

}  // namespace crate::cli
