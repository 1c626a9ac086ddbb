// html: pages of one file that open offline: text made harmless, templates filled, and a policy that lets nothing run
// but what was built in.
//
// Tokens are untrusted: any bytes can be a token. Characters that cannot be seen, or that reorder others (control
// characters, zero widths, direction overrides), are shown by visible stand-ins; bytes that are not UTF-8 by U+FFFD.
#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace crate {

/// Every character visible; still to be escaped.
std::string visible_text(std::string_view text);
/// visible_text, escaped for the inside of an element or of a quoted attribute.
std::string html_text(std::string_view text);
/// <span class="token ...">: leading and trailing spaces as middle dots, an empty token as the empty set.
std::string token_html(std::string_view token, std::string_view extra_class = {});
/// Three digits by default, a true minus sign; "–" for what is no number.
std::string number_text(double value, int digits = 3);
/// The same with a plus sign before positive numbers.
std::string signed_text(double value, int digits = 3);

/// JSON for the inside of a <script type="application/json">: no character there can end the element.
std::string json_for_html(const nlohmann::json& value);

/// Of any bytes (RFC 4648), for data: addresses.
std::string base64(std::string_view bytes);

/// Replaces each {{name}} once; what is put in is not read again. Throws Error on a name without a value.
std::string fill_template(std::string_view text, const std::map<std::string, std::string, std::less<>>& values);

/// A content security policy: nothing is loaded, only this style and this script (by their SHA-256) apply; images only
/// from the page itself.
std::string content_policy(std::string_view style, std::string_view script);

}  // namespace crate
