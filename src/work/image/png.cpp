// png: decoding and encoding through libpng. libpng reports an error by a function that must not return: it jumps, and
// the functions that are jumped back to hold no object with a destructor (see jpeg.cpp).
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "work/image/codecs.h"

namespace crate {
namespace {

struct Failure {
  char message[128] = {};
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* failure = static_cast<Failure*>(png_get_error_ptr(png));
  std::snprintf(failure->message, sizeof failure->message, "%s", message);
  png_longjmp(png, 1);
}

void silent(png_structp, png_const_charp) {}

struct Source {
  const std::byte* data;
  std::size_t left;
};

void take_bytes(png_structp png, png_bytep to, std::size_t n) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (n > source->left) png_error(png, "the file is cut short");
  std::memcpy(to, source->data, n);
  source->data += n;
  source->left -= n;
}

/// A png_struct for reading with its info, released at the end.
struct Reader {
  explicit Reader(Failure* failure) : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, failure, on_error, silent)) {
    if (png) info = png_create_info_struct(png);
    require(info != nullptr, "[png] libpng failed to start");
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  png_structp png = nullptr;
  png_infop info = nullptr;
};

struct Header {
  png_uint_32 width = 0, height = 0;
  int colour = 0;
};

bool read_header(png_structp png, png_infop info, Source* source, Header* header) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_user_limits(png, 0x7fffffff, 0x7fffffff);  // check_image_size has the word
  png_set_chunk_malloc_max(png, png_alloc_size_t{1} << 24);
  png_set_chunk_cache_max(png, 128);
  png_set_read_fn(png, source, take_bytes);
  png_read_info(png, info);
  header->width = png_get_image_width(png, info);
  header->height = png_get_image_height(png, info);
  header->colour = png_get_color_type(png, info);
  return true;
}

/// Asks for 8 bits a sample and no alpha: looked-up colours, or for a mask the numbers as they stand.
bool choose_output(png_structp png, png_infop info, bool mask, std::size_t* row_bytes) {
  if (setjmp(png_jmpbuf(png))) return false;
  if (mask) {
    png_set_packing(png);
  } else {
    png_set_expand(png);
  }
  png_set_strip_16(png);
  png_set_strip_alpha(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  *row_bytes = png_get_rowbytes(png, info);
  return true;
}

bool read_rows(png_structp png, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_read_image(png, rows);
  png_read_end(png, nullptr);
  return true;
}

void append_bytes(png_structp png, png_bytep from, std::size_t n) {
  auto* out = static_cast<std::vector<std::byte>*>(png_get_io_ptr(png));
  const auto* bytes = reinterpret_cast<const std::byte*>(from);
  try {
    out->insert(out->end(), bytes, bytes + n);
    return;
  } catch (const std::bad_alloc&) {  // exceptions may not pass through C
  }
  png_error(png, "out of memory");
}

struct Writer {
  explicit Writer(Failure* failure) : png(png_create_write_struct(PNG_LIBPNG_VER_STRING, failure, on_error, silent)) {
    if (png) info = png_create_info_struct(png);
    require(info != nullptr, "[png] libpng failed to start");
  }
  ~Writer() { png_destroy_write_struct(&png, &info); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  png_structp png = nullptr;
  png_infop info = nullptr;
};

bool write_rows(png_structp png, png_infop info, const Image& image, png_const_colorp palette, int colours,
                std::vector<std::byte>* out, png_bytepp rows) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_write_fn(png, out, append_bytes, nullptr);
  const int kind = colours > 0           ? PNG_COLOR_TYPE_PALETTE
                   : image.channels == 1 ? PNG_COLOR_TYPE_GRAY
                                         : PNG_COLOR_TYPE_RGB;
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), 8, kind,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (colours > 0) png_set_PLTE(png, info, palette, colours);
  png_write_info(png, info);
  png_write_image(png, rows);
  png_write_end(png, nullptr);
  return true;
}

std::vector<png_bytep> rows_of(uint8_t* pixels, std::size_t height, std::size_t stride) {
  std::vector<png_bytep> rows(height);
  for (std::size_t y = 0; y < height; ++y) rows[y] = pixels + y * stride;
  return rows;
}

}  // namespace

Image decode_png(Bytes bytes, const DecodeLimits& limits, bool mask) {
  Failure failure;
  Source source{bytes.data(), bytes.size()};
  Header header;
  const Reader reader(&failure);
  require(read_header(reader.png, reader.info, &source, &header), "the PNG is damaged: {}", failure.message);
  check_image_size(header.height, header.width, limits);
  const bool coloured = (header.colour & PNG_COLOR_MASK_COLOR) != 0;
  const bool palette = (header.colour & PNG_COLOR_MASK_PALETTE) != 0;
  require(!mask || !coloured || palette, "a mask is a PNG with a palette or in grey, this one has colours");

  std::size_t row_bytes = 0;
  require(choose_output(reader.png, reader.info, mask, &row_bytes), "the PNG is damaged: {}", failure.message);
  Image out(static_cast<int>(header.height), static_cast<int>(header.width), mask || !coloured ? 1 : 3);
  const std::size_t expected = static_cast<std::size_t>(out.width) * static_cast<std::size_t>(out.channels);
  require(row_bytes == expected, "[png] a row of {} bytes, expected {}", row_bytes, expected);
  std::vector<png_bytep> rows = rows_of(out.pixels.data(), header.height, row_bytes);
  require(read_rows(reader.png, rows.data()), "the PNG is damaged: {}", failure.message);
  return out;
}

std::vector<std::byte> encode_png(const Image& image, const Palette& palette) {
  require(image.height > 0 && image.width > 0 && (image.channels == 1 || image.channels == 3),
          "[png] an image has pixels and 1 or 3 channels, came {} x {} x {}", image.height, image.width,
          image.channels);
  require(palette.size() <= 256, "[png] a palette has at most 256 colours, came {}", palette.size());
  if (!palette.empty()) {
    require(image.channels == 1, "[png] an image with a palette has 1 channel, came {}", image.channels);
    const uint8_t largest = *std::max_element(image.pixels.begin(), image.pixels.end());
    require(largest < palette.size(), "[png] the number {} has no colour in a palette of {}", largest, palette.size());
  }
  std::vector<png_color> colours(palette.size());
  for (std::size_t i = 0; i < palette.size(); ++i) colours[i] = {palette[i][0], palette[i][1], palette[i][2]};
  Failure failure;
  const Writer writer(&failure);
  std::vector<std::byte> out;
  const std::size_t stride = static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.channels);
  std::vector<png_bytep> rows =
      rows_of(const_cast<uint8_t*>(image.pixels.data()), static_cast<std::size_t>(image.height), stride);
  require(
      write_rows(writer.png, writer.info, image, colours.data(), static_cast<int>(colours.size()), &out, rows.data()),
      "[png] {}", failure.message);
  return out;
}

void write_png(const std::string& path, const Image& image, const Palette& palette) {
  write_atomically(path, encode_png(image, palette));
}

}  // namespace crate
