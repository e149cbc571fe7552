// What the parts of the engines module share. Never included outside the module.
#pragma once

#include "tasks/engines/engines.hpp"

#include <leptonica/allheaders.h>

namespace celeriac::engines {

struct FreePix {
  void operator()(PIX* pix) const noexcept { pixDestroy(&pix); }
};
using PixPtr = std::unique_ptr<PIX, FreePix>;

class PixImage final : public Image {
 public:
  explicit PixImage(PixPtr pix) : pix_(std::move(pix)) {}
  int width() const override { return pixGetWidth(pix_.get()); }
  int height() const override { return pixGetHeight(pix_.get()); }
  PIX* pix() const { return pix_.get(); }

 private:
  PixPtr pix_;
};

inline tl::unexpected<ExtractError> failure(ExtractErrorCode code, std::string message) {
  return tl::unexpected<ExtractError>(ExtractError{code, std::move(message)});
}

// pdf_inspect.cpp: attachments and dangers, read with QPDF. An error only when the file
// must not be interpreted at all (password, bomb).
struct Inspection {
  PdfFacts facts;
  bool readable = false;  // false: QPDF gave up; Poppler may still do better
  int pages = 0;
};
Extracted<Inspection> inspect_pdf(std::string_view bytes, const EngineLimits&);

// pdf_poppler.cpp
Extracted<std::unique_ptr<PdfDocument>> open_with_poppler(std::string_view bytes, Inspection,
                                                          const EngineLimits&);

// image.cpp
Extracted<int> count_images(std::string_view bytes);
Extracted<std::unique_ptr<Image>> decode_image(std::string_view bytes, int index, const EngineLimits&);

// ocr.cpp
class Ocr {
 public:
  Ocr();
  ~Ocr();
  Extracted<PageText> recognise(const PixImage&, const OcrControl&);
  std::string languages();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace celeriac::engines
