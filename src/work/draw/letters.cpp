#include "work/draw/letters.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace crate {
namespace {

struct Letter {
  char sign;
  std::string_view rows;  // seven, from the top; two hexadecimal digits each,
                          // the highest of five bits on the left
};

constexpr Letter letters[] = {
    {'0', "0E11131519110E"}, {'1', "040C040404040E"}, {'2', "0E11010204081F"}, {'3', "1F02040201110E"},
    {'4', "02060A121F0202"}, {'5', "1F101E0101110E"}, {'6', "0608101E11110E"}, {'7', "1F010204080808"},
    {'8', "0E11110E11110E"}, {'9', "0E11110F01020C"}, {'A', "0E11111F111111"}, {'B', "1E11111E11111E"},
    {'C', "0E11101010110E"}, {'D', "1C12111111121C"}, {'E', "1F10101E10101F"}, {'F', "1F10101E101010"},
    {'G', "0E11101711110F"}, {'H', "1111111F111111"}, {'I', "0E04040404040E"}, {'J', "0702020202120C"},
    {'K', "11121418141211"}, {'L', "1010101010101F"}, {'M', "111B1515111111"}, {'N', "11111915131111"},
    {'O', "0E11111111110E"}, {'P', "1E11111E101010"}, {'Q', "0E11111115120D"}, {'R', "1E11111E141211"},
    {'S', "0F10100E01011E"}, {'T', "1F040404040404"}, {'U', "1111111111110E"}, {'V', "11111111110A04"},
    {'W', "1111111515150A"}, {'X', "11110A040A1111"}, {'Y', "1111110A040404"}, {'Z', "1F01020408101F"},
    {'.', "00000000000C0C"}, {',', "000000000C0408"}, {'-', "0000001F000000"}, {'+', "0004041F040400"},
    {':', "000C0C000C0C00"}, {'/', "00010204081000"}, {'%', "18190204081303"}, {'=', "00001F001F0000"},
    {'(', "02040808080402"}, {')', "08040202020408"}, {'_', "0000000000001F"},
};

int bits_of(std::string_view rows, int row) {
  int value = 0;
  for (const char c : rows.substr(static_cast<std::size_t>(2 * row), 2))
    value = value * 16 + (c <= '9' ? c - '0' : c - 'A' + 10);
  return value;
}

void dot_at(Image& picture, int y, int x, std::array<uint8_t, 3> colour) {
  if (y < 0 || x < 0 || y >= picture.height || x >= picture.width) return;
  std::copy_n(colour.begin(), picture.channels, picture.at(y, x));
}

}  // namespace

void write_text(Image& picture, int top, int left, const std::string& text, std::array<uint8_t, 3> colour, int scale) {
  for (const char c : text) {
    const char wanted = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const auto* letter =
        std::find_if(std::begin(letters), std::end(letters), [&](const Letter& l) { return l.sign == wanted; });
    for (int y = 0; letter != std::end(letters) && y < 7 * scale; ++y) {
      for (int x = 0; x < 5 * scale; ++x)
        if (bits_of(letter->rows, y / scale) >> (4 - x / scale) & 1) dot_at(picture, top + y, left + x, colour);
    }
    left += letter_width * scale;
  }
}

}  // namespace crate
