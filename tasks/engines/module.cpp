// The module's one exported function, and the Engines object that joins the parts.
#include "tasks/engines/module.hpp"

namespace celeriac::engines {
namespace {

// Leptonica reports on stderr what we report as an error.
class ModuleEngines final : public Engines {
 public:
  ModuleEngines() { setMsgSeverity(L_SEVERITY_NONE); }

  Extracted<std::unique_ptr<PdfDocument>> open_pdf(std::string_view bytes,
                                                   const EngineLimits& limits) override {
    auto inspection = inspect_pdf(bytes, limits);
    if (!inspection) return tl::unexpected(inspection.error());
    return open_with_poppler(bytes, std::move(*inspection), limits);
  }
  Extracted<int> count_images(std::string_view bytes) override { return engines::count_images(bytes); }
  Extracted<std::unique_ptr<Image>> open_image(std::string_view bytes, int index,
                                               const EngineLimits& limits) override {
    return decode_image(bytes, index, limits);
  }
  Extracted<PageText> recognise(const Image& image, const OcrControl& control) override {
    return ocr_.recognise(static_cast<const PixImage&>(image), control);
  }
  std::string ocr_languages() override { return ocr_.languages(); }

 private:
  Ocr ocr_;
};

}  // namespace
}  // namespace celeriac::engines

extern "C" __attribute__((visibility("default"))) celeriac::Engines* celeriac_make_engines() {
  return new celeriac::engines::ModuleEngines;
}
