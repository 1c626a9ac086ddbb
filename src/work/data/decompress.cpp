// decompress: the bytes of a file as they were before gzip, xz or zstd.
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "work/data/reader.h"

namespace crate {
namespace {

using Sink = std::function<void(std::string_view piece, uint64_t disk_bytes)>;

constexpr std::size_t out_size = std::size_t{1} << 20;

std::string_view view(const std::vector<char>& buffer, std::size_t used) { return {buffer.data(), used}; }

[[noreturn]] void damaged(const std::string& path, const char* format) {
  fail("{} is damaged or cut short: its {} stream does not end; fetch it again", path, format);
}

void read_gzip(const std::string& path, std::span<const std::byte> in, const Sink& sink) {
  z_stream z{};
  require(inflateInit2(&z, 15 + 32) == Z_OK, "[reader] zlib failed to start");
  const std::unique_ptr<z_stream, int (*)(z_streamp)> guard(&z, inflateEnd);
  std::vector<char> out(out_size);
  std::size_t fed = 0;
  int status = Z_STREAM_END;
  while (fed < in.size() || z.avail_in > 0) {
    if (z.avail_in == 0) {
      const std::size_t n = std::min<std::size_t>(in.size() - fed, 1 << 20);
      z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data() + fed));
      z.avail_in = static_cast<uInt>(n);
      fed += n;
    }
    if (status == Z_STREAM_END)
      require(inflateReset(&z) == Z_OK, "[reader] zlib failed to restart");  // gzip members may follow each other
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    status = inflate(&z, Z_NO_FLUSH);
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) damaged(path, "gzip");
    sink(view(out, out.size() - z.avail_out), fed - z.avail_in);
    if (status == Z_BUF_ERROR && z.avail_in > 0) damaged(path, "gzip");
  }
  if (status != Z_STREAM_END) damaged(path, "gzip");
}

void read_xz(const std::string& path, std::span<const std::byte> in, const Sink& sink) {
  lzma_stream z = LZMA_STREAM_INIT;
  constexpr uint64_t memory_limit = uint64_t{1} << 30;
  require(lzma_stream_decoder(&z, memory_limit, LZMA_CONCATENATED) == LZMA_OK, "[reader] liblzma failed to start");
  const std::unique_ptr<lzma_stream, void (*)(lzma_stream*)> guard(&z, lzma_end);
  std::vector<char> out(out_size);
  z.next_in = reinterpret_cast<const uint8_t*>(in.data());
  z.avail_in = in.size();
  lzma_ret status = LZMA_OK;
  while (status == LZMA_OK) {
    z.next_out = reinterpret_cast<uint8_t*>(out.data());
    z.avail_out = out.size();
    status = lzma_code(&z, LZMA_FINISH);
    sink(view(out, out.size() - z.avail_out), in.size() - z.avail_in);
  }
  if (status != LZMA_STREAM_END) damaged(path, "xz");
}

void read_zstd(const std::string& path, std::span<const std::byte> in, const Sink& sink) {
  const std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> z(ZSTD_createDStream(), ZSTD_freeDStream);
  constexpr int widest_window = 31;  // what `zstd --long` may have used
  ZSTD_DCtx_setParameter(z.get(), ZSTD_d_windowLogMax, widest_window);
  std::vector<char> out(out_size);
  ZSTD_inBuffer from{in.data(), in.size(), 0};
  std::size_t status = 0;
  bool full = false;
  while (from.pos < from.size || full) {
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    status = ZSTD_decompressStream(z.get(), &to, &from);
    if (ZSTD_isError(status)) damaged(path, "zstd");
    full = to.pos == to.size;
    sink(view(out, to.pos), from.pos);
  }
  if (status != 0) damaged(path, "zstd");
}

void read_plain(std::span<const std::byte> in, const Sink& sink) {
  for (std::size_t at = 0; at < in.size(); at += out_size) {
    const std::size_t n = std::min(out_size, in.size() - at);
    sink({reinterpret_cast<const char*>(in.data()) + at, n}, at + n);
  }
}

}  // namespace

void read_bytes(const std::string& path, const Sink& sink) {
  const MappedFile file(path);
  for (const char* format : {"gz", "xz", "zst"}) {
    if (file.bytes().empty() && path.ends_with(fmt::format(".{}", format))) damaged(path, format);
  }
  if (path.ends_with(".gz")) return read_gzip(path, file.bytes(), sink);
  if (path.ends_with(".xz")) return read_xz(path, file.bytes(), sink);
  if (path.ends_with(".zst")) return read_zstd(path, file.bytes(), sink);
  read_plain(file.bytes(), sink);
}

}  // namespace crate
