// Pages of a PDF with Poppler: words with their boxes, and pictures for OCR.
#include "tasks/engines/module.hpp"

#include <poppler/cpp/poppler-document.h>
#include <poppler/cpp/poppler-global.h>
#include <poppler/cpp/poppler-page-renderer.h>
#include <poppler/cpp/poppler-page.h>
#include <algorithm>
#include <cmath>

namespace celeriac::engines {
namespace {

void ignore_message(const std::string&, void*) {}

std::string utf8(const poppler::ustring& text) {
  poppler::byte_array bytes = text.to_utf8();
  return {bytes.begin(), bytes.end()};
}

PixPtr grey_pix(const poppler::image& image) {
  const int width = image.width(), height = image.height();
  PixPtr pix(pixCreateNoInit(width, height, 8));
  if (!pix) return pix;
  const int stride = pixGetWpl(pix.get());
  l_uint32* target = pixGetData(pix.get());
  for (int y = 0; y < height; ++y) {
    const char* source = image.const_data() + static_cast<std::ptrdiff_t>(y) * image.bytes_per_row();
    l_uint32* line = target + static_cast<std::ptrdiff_t>(y) * stride;
    for (int x = 0; x < width; ++x) SET_DATA_BYTE(line, x, static_cast<unsigned char>(source[x]));
  }
  return pix;
}

class PopplerDocument final : public PdfDocument {
 public:
  PopplerDocument(std::unique_ptr<poppler::document> document, Inspection inspection, EngineLimits limits)
      : document_(std::move(document)), inspection_(std::move(inspection)), limits_(limits) {}

  int page_count() const override { return inspection_.readable ? inspection_.pages : document_->pages(); }
  const PdfFacts& facts() const override { return inspection_.facts; }

  Extracted<PageText> text(int number) override try {
    auto page = open(number);
    if (!page) return tl::unexpected(page.error());
    PageText out;
    poppler::rectf box = (*page)->page_rect();
    out.width = static_cast<float>(box.width());
    out.height = static_cast<float>(box.height());
    for (const poppler::text_box& word : (*page)->text_list()) {
      std::string text = utf8(word.text());
      poppler::rectf b = word.bbox();
      if (text.empty() || !std::isfinite(b.left()) || !std::isfinite(b.top())) continue;
      out.words.push_back({std::move(text),
                           {static_cast<float>(b.left()), static_cast<float>(b.top()),
                            static_cast<float>(b.right()), static_cast<float>(b.bottom())},
                           1.0f});
    }
    return out;
  } catch (const std::exception& e) {
    return failure(ExtractErrorCode::corrupt, std::string("page text: ") + e.what());
  }

  Extracted<std::unique_ptr<Image>> render(int number, int dpi) override try {
    if (inspection_.facts.image_bomb)
      return failure(ExtractErrorCode::image_too_large, "a page holds an image with too many pixels");
    auto page = open(number);
    if (!page) return tl::unexpected(page.error());
    poppler::rectf box = (*page)->page_rect();
    const double width = box.width(), height = box.height();
    if (!(width >= 1 && height >= 1 && width < 1e6 && height < 1e6))
      return failure(ExtractErrorCode::image_too_large, "the page has no usable size");
    constexpr double most_pixels = 25e6;  // A4 at 500 dpi
    const double fitting = 72 * std::sqrt(most_pixels / (width * height));
    const double used = std::min<double>(dpi, fitting);
    poppler::page_renderer renderer;
    renderer.set_image_format(poppler::image::format_gray8);
    renderer.set_render_hint(poppler::page_renderer::antialiasing, true);
    renderer.set_render_hint(poppler::page_renderer::text_antialiasing, true);
    poppler::image image = renderer.render_page(page->get(), used, used);
    if (!image.is_valid()) return failure(ExtractErrorCode::corrupt, "the page cannot be drawn");
    PixPtr pix = grey_pix(image);
    if (!pix) return failure(ExtractErrorCode::image_too_large, "no memory for the page");
    return std::make_unique<PixImage>(std::move(pix));
  } catch (const std::exception& e) {
    return failure(ExtractErrorCode::corrupt, std::string("drawing a page: ") + e.what());
  }

 private:
  Extracted<std::unique_ptr<poppler::page>> open(int number) {
    std::unique_ptr<poppler::page> page(document_->create_page(number - 1));
    if (!page)
      return failure(ExtractErrorCode::corrupt, "page " + std::to_string(number) + " cannot be read");
    return page;
  }

  std::unique_ptr<poppler::document> document_;
  Inspection inspection_;
  EngineLimits limits_;
};

}  // namespace

Extracted<std::unique_ptr<PdfDocument>> open_with_poppler(std::string_view bytes, Inspection inspection,
                                                          const EngineLimits& limits) try {
  poppler::set_debug_error_function(ignore_message, nullptr);
  std::unique_ptr<poppler::document> document(
      poppler::document::load_from_raw_data(bytes.data(), static_cast<int>(bytes.size())));
  if (!document) return failure(ExtractErrorCode::corrupt, "the PDF cannot be read");
  if (document->is_locked()) return failure(ExtractErrorCode::password_required, "the PDF needs a password");
  if (document->pages() <= 0 && inspection.pages > 0)
    return failure(ExtractErrorCode::too_many_pages, "the PDF announces an impossible number of pages");
  if (document->pages() <= 0) return failure(ExtractErrorCode::corrupt, "the PDF has no pages");
  return std::make_unique<PopplerDocument>(std::move(document), std::move(inspection), limits);
} catch (const std::exception& e) {
  return failure(ExtractErrorCode::corrupt, e.what());
}

}  // namespace celeriac::engines
