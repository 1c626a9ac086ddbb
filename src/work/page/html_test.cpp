// Pages: nothing a text holds may end an element, run, or hide.
#include "work/page/html.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "work/page/files.h"

namespace crate {
namespace {

TEST(Html, ShowsWhatCannotBeSeen) {
  EXPECT_EQ(visible_text("a\nb\tc"), "a↵b⇥c");
  EXPECT_EQ(visible_text(std::string_view("\0\x1b\x7f", 3)), "␀␛␡");
  EXPECT_EQ(visible_text("a\xE2\x80\xAE"
                         "b\xE2\x80\x8B\xEF\xBB\xBF\xC2\x85"),
            "a‹202E›b‹200B›‹FEFF›‹0085›");
  EXPECT_EQ(visible_text("héllo 日本 \xF0\x9F\x8C\x8D"), "héllo 日本 \xF0\x9F\x8C\x8D");
}

TEST(Html, BytesThatAreNoTextAreReplacedOneByOne) {
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(visible_text("\xFF"), bad);
  EXPECT_EQ(visible_text("\xC3"), bad);                      // cut short
  EXPECT_EQ(visible_text("\xC3("), bad + "(");               // no continuation
  EXPECT_EQ(visible_text("\xC0\xAF"), bad + bad);            // overlong
  EXPECT_EQ(visible_text("\xED\xA0\x80"), bad + bad + bad);  // half a surrogate pair
  EXPECT_EQ(visible_text("\xF4\x90\x80\x80"), bad + bad + bad + bad);
}

TEST(Html, Escapes) {
  EXPECT_EQ(html_text("<a href=\"x\" id='y'>&"), "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;");
  EXPECT_EQ(token_html("  a b "), "<span class=\"token\">··a b·</span>");
  EXPECT_EQ(token_html("   "), "<span class=\"token\">···</span>");
  EXPECT_EQ(token_html("", "aim"), "<span class=\"token aim\">∅</span>");
}

TEST(Html, JsonCannotEndItsElement) {
  const nlohmann::json value = {{"</script>", "<!-- \xE2\x80\xA8 & 日 \xFF"}};
  const std::string text = json_for_html(value);
  EXPECT_EQ(text.find_first_of("<>&"), std::string::npos) << text;
  for (const char c : text) EXPECT_LT(static_cast<unsigned char>(c), 0x80) << text;
  EXPECT_EQ(nlohmann::json::parse(text).begin().key(), "</script>");
}

TEST(Html, Numbers) {
  EXPECT_EQ(number_text(0.0123456), "0.0123");
  EXPECT_EQ(number_text(-1234567), "−1.23e+06");
  EXPECT_EQ(number_text(12345), "12345");
  EXPECT_EQ(number_text(0), "0");
  EXPECT_EQ(number_text(std::nan("")), "–");
  EXPECT_EQ(signed_text(2), "+2");
  EXPECT_EQ(signed_text(-2), "−2");
}

TEST(Html, TemplatesAreFilledOnce) {
  EXPECT_EQ(fill_template("<{{a}}-{{b}}-{{a}}>", {{"a", "{{b}}"}, {"b", "2"}}), "<{{b}}-2-{{b}}>");
  EXPECT_THROW(fill_template("{{absent}}", {}), Error);
  EXPECT_THROW(fill_template("{{open", {}), Error);
}

TEST(Html, Base64AndThePolicy) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("\xFF\xFE\xFD"), "//79");
  // printf '' | openssl dgst -sha256 -binary | base64
  EXPECT_NE(content_policy("", "x").find("style-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"),
            std::string::npos);
  EXPECT_NE(content_policy("", "").find("script-src 'none'"), std::string::npos);
}

TEST(Html, PartsAreBuiltIn) {
  EXPECT_NE(web_file("explain.html").find("{{graph}}"), std::string_view::npos);
  EXPECT_THROW(web_file("absent.html"), Error);
}

}  // namespace
}  // namespace crate
