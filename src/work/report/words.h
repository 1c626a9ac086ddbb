// words: how a report speaks of numbers and models, the same in Markdown and on the page.
#pragma once
#include <string>

#include "work/report/card.h"

namespace crate {

/// "0.734", "12.3", "3.1e-08", "0".
std::string short_value(double x);
std::string signed_value(double x);
/// "crate-lm"; with its name when both families are the same.
std::string model_title(const ReportCard& card, int model);
/// "crate-lm", "gpt-relu" or "cannot be told apart".
std::string ahead_text(const ReportCard& card, const Verdict& v);
int most_layers(const ReportCard& card);
/// One sentence that counts the verdicts, no more than they say.
std::string summary(const ReportCard& card);

}  // namespace crate
