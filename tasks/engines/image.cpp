// Picture files with Leptonica. The header is judged before a single pixel is decoded.
#include "tasks/engines/file_type.hpp"
#include "tasks/engines/module.hpp"

namespace celeriac::engines {
namespace {

const l_uint8* data(std::string_view bytes) { return reinterpret_cast<const l_uint8*>(bytes.data()); }

}  // namespace

Extracted<int> count_images(std::string_view bytes) {
  if (detect_file_type(bytes) != FileType::tiff) return 1;
  constexpr int most = 10'000;  // a directory that points at itself ends here
  std::size_t offset = 0;
  for (int count = 1; count < most; ++count) {
    PixPtr pix(pixReadMemFromMultipageTiff(data(bytes), bytes.size(), &offset));
    if (!pix) return failure(ExtractErrorCode::corrupt, "the TIFF cannot be read");
    if (offset == 0) return count;
  }
  return most;
}

Extracted<std::unique_ptr<Image>> decode_image(std::string_view bytes, int index,
                                               const EngineLimits& limits) {
  l_int32 format = 0, width = 0, height = 0, bits = 0, samples = 0, colormap = 0;
  if (pixReadHeaderMem(data(bytes), bytes.size(), &format, &width, &height, &bits, &samples, &colormap) !=
          0 ||
      width <= 0 || height <= 0)
    return failure(ExtractErrorCode::corrupt, "the image header cannot be read");
  const auto pixels = static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height);
  if (pixels > limits.max_image_pixels)
    return failure(ExtractErrorCode::image_too_large,
                   std::to_string(width) + " x " + std::to_string(height) + " pixels");
  constexpr int least_side = 16;
  if (width < least_side || height < least_side)
    return failure(ExtractErrorCode::image_too_small,
                   std::to_string(width) + " x " + std::to_string(height) + " pixels");
  PixPtr pix;
  if (detect_file_type(bytes) == FileType::tiff) {
    std::size_t offset = 0;
    for (int i = 0; i <= index; ++i) {
      pix.reset(pixReadMemFromMultipageTiff(data(bytes), bytes.size(), &offset));
      if (!pix) break;
    }
  } else {
    pix.reset(pixReadMem(data(bytes), bytes.size()));
  }
  if (!pix) return failure(ExtractErrorCode::corrupt, "the image cannot be decoded");
  PixPtr grey(pixConvertTo8(pix.get(), 0));
  if (!grey) return failure(ExtractErrorCode::corrupt, "the image cannot be converted");
  return std::make_unique<PixImage>(std::move(grey));
}

}  // namespace celeriac::engines
