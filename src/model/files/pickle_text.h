// pickle_text: the texts of a pickle: checking UTF-8, and the escapes that protocol 0 writes.
#pragma once
#include <string>
#include <string_view>

namespace crate {

/// Well-formed UTF-8 without surrogates (RFC 3629).
bool is_utf8(std::string_view text);

/// Raw-unicode-escape: \uXXXX and \UXXXXXXXX, any other byte is the character of that number. Throws Error, beginning
/// with `where`, on a cut or impossible escape.
std::string from_raw_unicode_escape(std::string_view line, const std::string& where);

/// A quoted string as Python 2 wrote it: '...' or "..." with \\ \' \" \n \r \t \xHH. Throws Error like the above.
std::string from_quoted(std::string_view line, const std::string& where);

}  // namespace crate
