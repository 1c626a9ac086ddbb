#include "cli/command.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/parallel.h"
#include "model/directory.h"

namespace crate::cli {
namespace {

CLI::Validator at_least(const char* name, const char* wanted, bool zero) {
  const auto problem = [=](const std::string& text) {
    double number = 0;
    const bool good = CLI::detail::lexical_cast(text, number) && (zero ? number >= 0 : number > 0);
    return good ? std::string() : fmt::format("must be {}, came {}", wanted, text);
  };
  return {problem, name};
}

}  // namespace

CLI::Validator not_negative() { return at_least("NONNEGATIVE", "0 or more", true); }
CLI::Validator positive() { return at_least("POSITIVE", "more than 0", false); }

DeviceOptions Common::device_options(const std::string& dtype) const {
  return {.kind = device_kind(device), .products = products_named(dtype)};
}

CLI::App* add_command(CLI::App& app, const char* name, const char* description, const char* example, Common& common) {
  CLI::App* command = app.add_subcommand(name, description);
  command->footer(std::string("\nExample:\n  ") + example);
  command->add_flag("--json", common.json, "print one JSON object on stdout and nothing else");
  command->add_option("--threads", common.threads, "threads to use (0: all cores)")->check(not_negative());
  command->add_option("--device", common.device, "cpu (float32) or ref (float64, slow)")->capture_default_str();
  command->add_option("--seed", common.seed, "seed of everything random")->capture_default_str();
  command->parse_complete_callback([&common] { set_thread_count(common.threads); });
  return command;
}

Progress::Progress() : terminal_(isatty(STDERR_FILENO) != 0) {}

void Progress::show(const std::string& line) {
  if (!terminal_) return;
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  shown_ = true;
}

void Progress::clear() {
  if (shown_) std::fputs("\r\033[K", stderr);
  shown_ = false;
}

bool use_color() { return isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr; }
std::string bold(const std::string& text) { return use_color() ? "\033[1m" + text + "\033[0m" : text; }

std::string short_number(double value) {
  const char* units[] = {"", "k", "M", "G", "T"};
  std::size_t unit = 0;
  while (std::abs(value) >= 999.5 && unit < 4) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.3g}{}", value, units[unit]);
}

std::string bar(double fraction, int width) {
  const int full = static_cast<int>(std::lround(std::min(1.0, std::max(0.0, fraction)) * width));
  return std::string(static_cast<std::size_t>(full), '#') + std::string(static_cast<std::size_t>(width - full), '.');
}

std::unique_ptr<Tokenizer> tokenizer_of(const std::string& model_folder) {
  const DirectoryReader directory(model_folder);
  return directory.has("tokenizer.json") ? load_tokenizer(directory.path("tokenizer.json")) : byte_tokenizer();
}

}  // namespace crate::cli
