// jpeg: decoding through libjpeg-turbo, with the slow exact DCT and smooth chroma, as PIL decodes.
// The library reports an error by a function that must not return. It jumps (setjmp), since exceptions may not pass
// through C; so the function that jumps back holds no object with a destructor, the owner of the pixels stands outside.
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE
#include <cstring>

#include <jpeglib.h>
// After jpeglib.h:
#include <jerror.h>

#include "base/error.h"
#include "work/image/codecs.h"

namespace crate {
namespace {

// A progressive file may hold any number of scans, each a pass over the whole image; real ones have about ten.
constexpr int most_scans = 500;

/// Everything libjpeg may touch; `manager` first, so that a pointer to it is a pointer to this.
struct State {
  jpeg_error_mgr manager;
  jpeg_progress_mgr progress;
  jpeg_decompress_struct info;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void give_up(State* state, const char* message) {
  std::snprintf(state->message, sizeof state->message, "%s", message);
  std::longjmp(state->jump, 1);
}

[[noreturn]] void on_error(j_common_ptr info) {
  auto* state = reinterpret_cast<State*>(info->err);
  (*info->err->format_message)(info, state->message);
  std::longjmp(state->jump, 1);
}

/// The library goes on after a warning and fills the rest with grey; pixels that are not the file's are an error here.
/// Harmless oddities (bytes between markers, version numbers) pass.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  auto* state = reinterpret_cast<State*>(info->err);
  switch (info->err->msg_code) {
    case JWRN_JPEG_EOF:
      give_up(state, "the JPEG is cut short");
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_BOGUS_PROGRESSION:
      give_up(state, "the JPEG is damaged or cut short");
    default:
      return;
  }
}

void on_progress(j_common_ptr info) {
  const auto* decoder = reinterpret_cast<j_decompress_ptr>(info);
  if (decoder->input_scan_number > most_scans)
    give_up(reinterpret_cast<State*>(info->err), "the JPEG has more scans than any real one");
}

void silent(j_common_ptr) {}

enum class Colour : uint8_t { grey, rgb, cmyk, cmyk_inverted };

/// Reads the header and chooses what comes out. False when the library gave up (state.message).
bool read_header(State& state, Bytes bytes, Colour* colour) {
  if (setjmp(state.jump)) return false;
  jpeg_create_decompress(&state.info);
  state.info.progress = &state.progress;
  jpeg_mem_src(&state.info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&state.info, TRUE);
  const int components = state.info.num_components;
  if (components == 1) {
    state.info.out_color_space = JCS_GRAYSCALE;
    *colour = Colour::grey;
  } else if (components == 4) {
    state.info.out_color_space = JCS_CMYK;
    *colour = state.info.saw_Adobe_marker ? Colour::cmyk_inverted : Colour::cmyk;
  } else {
    state.info.out_color_space = JCS_RGB;
    *colour = Colour::rgb;
  }
  state.info.dct_method = JDCT_ISLOW;
  return true;
}

bool read_rows(State& state, uint8_t* rows, std::size_t stride) {
  if (setjmp(state.jump)) return false;
  jpeg_start_decompress(&state.info);
  while (state.info.output_scanline < state.info.output_height) {
    JSAMPROW row = rows + state.info.output_scanline * stride;
    jpeg_read_scanlines(&state.info, &row, 1);
  }
  jpeg_finish_decompress(&state.info);
  return true;
}

/// Light that a layer of ink lets through: of 255 - ink, the part that black lets through.
uint8_t through(unsigned light, unsigned black) { return static_cast<uint8_t>((light * black + 127) / 255); }

Image rgb_of_cmyk(const std::vector<uint8_t>& inks, int height, int width, bool inverted) {
  Image out(height, width, 3);
  for (std::size_t i = 0; i < inks.size() / 4; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      const unsigned flip = inverted ? 0u : 255u;  // Adobe's files hold the light, others the ink
      out.pixels[3 * i + c] = through(inks[4 * i + c] ^ flip, inks[4 * i + 3] ^ flip);
    }
  }
  return out;
}

}  // namespace

Image decode_jpeg(Bytes bytes, const DecodeLimits& limits) {
  State state;
  std::memset(&state, 0, sizeof state);
  state.info.err = jpeg_std_error(&state.manager);
  state.manager.error_exit = on_error;
  state.manager.emit_message = on_message;
  state.manager.output_message = silent;
  state.progress.progress_monitor = on_progress;
  struct Release {
    State& state;
    ~Release() { jpeg_destroy_decompress(&state.info); }
  } const release{state};

  Colour colour = Colour::rgb;
  require(read_header(state, bytes, &colour), "{}", state.message);
  const int height = static_cast<int>(state.info.image_height), width = static_cast<int>(state.info.image_width);
  check_image_size(height, width, limits);
  const bool cmyk = colour == Colour::cmyk || colour == Colour::cmyk_inverted;
  const int channels = cmyk ? 4 : colour == Colour::grey ? 1 : 3;
  Image out(height, width, channels);
  require(read_rows(state, out.pixels.data(), static_cast<std::size_t>(width) * static_cast<std::size_t>(channels)),
          "{}", state.message);
  if (cmyk) return rgb_of_cmyk(out.pixels, height, width, colour == Colour::cmyk_inverted);
  return out;
}

}  // namespace crate
