// Words in a picture with Tesseract.
#include "tasks/engines/module.hpp"

#include <tesseract/baseapi.h>
#include <tesseract/ocrclass.h>
#include <tesseract/resultiterator.h>
#include <algorithm>
#include <cstdlib>
#include <mutex>

namespace celeriac::engines {
namespace {

constexpr int least_width = 1000;  // smaller pictures are enlarged: letters need about 20 pixels
constexpr float page_width = 595;  // points; a picture does not reliably say how large it is

bool stop_asked(void* control, int) {
  const auto* c = static_cast<const OcrControl*>(control);
  return c->cancelled && c->cancelled();
}

PixPtr prepare(PIX* source) {
  PixPtr pix(pixClone(source));
  if (pixGetWidth(pix.get()) < least_width) {
    const float scale =
        std::min(2.5f, static_cast<float>(least_width) * 1.3f / static_cast<float>(pixGetWidth(pix.get())));
    if (PixPtr larger{pixScale(pix.get(), scale, scale)}) pix = std::move(larger);
  }
  if (PixPtr straight{pixDeskew(pix.get(), 0)}) pix = std::move(straight);
  return pix;
}

}  // namespace

struct Ocr::State {
  std::mutex mutex;
  tesseract::TessBaseAPI api;
  std::string languages;
  bool started = false;

  bool start() {
    if (started) return !languages.empty();
    started = true;
    if (api.Init(nullptr, "eng", tesseract::OEM_LSTM_ONLY) != 0) return false;
    std::vector<std::string> installed;
    api.GetAvailableLanguagesAsVector(&installed);
    std::string wanted = "eng";
    if (std::ranges::find(installed, "deu") != installed.end()) wanted += "+deu";
    if (wanted != "eng" && api.Init(nullptr, wanted.c_str(), tesseract::OEM_LSTM_ONLY) != 0) return false;
    api.SetVariable("debug_file", "/dev/null");
    languages = wanted;
    // Tesseract's dictionary cache is a static made just now, so it would be gone before this
    // object; it complains about dictionaries that are still in use.
    live = this;
    std::atexit([] {
      if (live) live->api.End();
    });
    return true;
  }

  ~State() { live = nullptr; }

  static inline State* live = nullptr;
};

Ocr::Ocr() : state_(std::make_unique<State>()) {}
Ocr::~Ocr() = default;

std::string Ocr::languages() {
  std::lock_guard lock(state_->mutex);
  state_->start();
  return state_->languages;
}

Extracted<PageText> Ocr::recognise(const PixImage& image, const OcrControl& control) try {
  std::lock_guard lock(state_->mutex);
  if (!state_->start())
    return failure(ExtractErrorCode::engine_unavailable, "Tesseract finds no language data");
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(control.deadline -
                                                                          std::chrono::steady_clock::now());
  if (left.count() <= 0) return failure(ExtractErrorCode::timeout, "no time left for OCR");

  PixPtr pix = prepare(image.pix());
  auto& api = state_->api;
  api.SetPageSegMode(tesseract::PSM_AUTO);
  api.SetImage(pix.get());
  api.SetSourceResolution(300);
  tesseract::ETEXT_DESC monitor;
  monitor.cancel = stop_asked;
  monitor.cancel_this = const_cast<OcrControl*>(&control);
  monitor.set_deadline_msecs(static_cast<int32_t>(std::min<long long>(left.count(), 3'600'000)));
  const int status = api.Recognize(&monitor);
  if (control.cancelled && control.cancelled()) {
    api.Clear();
    return failure(ExtractErrorCode::cancelled, "cancelled during OCR");
  }
  if (std::chrono::steady_clock::now() >= control.deadline) {
    api.Clear();
    return failure(ExtractErrorCode::timeout, "OCR took too long");
  }
  if (status != 0) {
    api.Clear();
    return failure(ExtractErrorCode::corrupt, "OCR failed");
  }

  PageText out;
  const float scale = page_width / static_cast<float>(pixGetWidth(pix.get()));
  out.width = page_width;
  out.height = static_cast<float>(pixGetHeight(pix.get())) * scale;
  std::unique_ptr<tesseract::ResultIterator> it(api.GetIterator());
  if (it) {
    do {
      std::unique_ptr<char[]> text(it->GetUTF8Text(tesseract::RIL_WORD));
      int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
      if (!text || text[0] == 0 || !it->BoundingBox(tesseract::RIL_WORD, &x0, &y0, &x1, &y1)) continue;
      const float confidence = std::clamp(it->Confidence(tesseract::RIL_WORD) / 100.0f, 0.0f, 1.0f);
      out.words.push_back({text.get(),
                           {static_cast<float>(x0) * scale, static_cast<float>(y0) * scale,
                            static_cast<float>(x1) * scale, static_cast<float>(y1) * scale},
                           confidence});
    } while (it->Next(tesseract::RIL_WORD));
  }
  it.reset();
  api.Clear();
  return out;
} catch (const std::exception& e) {
  return failure(ExtractErrorCode::corrupt, std::string("OCR: ") + e.what());
}

}  // namespace celeriac::engines
