#include "cli/changes.h"

namespace crate::cli {

void ChangeOptions::add_to(CLI::App& command) {
  const auto option = [&command](const char* name, std::vector<std::string>& to, const char* help) {
    command.add_option(name, to, help)->expected(1)->take_all();
  };
  option("--ablate", ablate, "SITE:ATOMS[@POSITIONS]: these atoms hold 0, e.g. blocks.3.ista.code:205 (repeatable)");
  option("--scale", scale, "SITE:ATOMS[@POSITIONS]=F: times F");
  option("--set", set, "SITE:ATOMS[@POSITIONS]=V: hold V");
  option("--add", add, "SITE:ATOMS[@POSITIONS]=V: plus V");
}

std::vector<Intervention> ChangeOptions::parse() const {
  std::vector<Intervention> out;
  for (const std::string& text : ablate) out.push_back(parse_ablation(text));
  for (const std::string& text : scale) out.push_back(parse_intervention(Change::scale, text));
  for (const std::string& text : set) out.push_back(parse_intervention(Change::set, text));
  for (const std::string& text : add) out.push_back(parse_intervention(Change::add, text));
  return out;
}

}  // namespace crate::cli
