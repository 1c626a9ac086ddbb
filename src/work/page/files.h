// files: the parts of the pages (web/), embedded when the program is built, so that a page can be written anywhere.
#pragma once
#include <string_view>

namespace crate {

/// The text of web/NAME. Throws Error when there is none.
std::string_view web_file(std::string_view name);

}  // namespace crate
