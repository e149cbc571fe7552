// The PDF, image and OCR engines behind one small interface.
//
// Poppler, QPDF, Leptonica and Tesseract live in a module (celeriac_engines.so) that is
// loaded on first use, so that processes which never read a document pay neither their
// memory nor their start-up time. Nothing here throws across the module's border: every
// failure is an ExtractError.
//
// One Engines object serves a process. Its calls may come from several threads; OCR runs
// one page at a time.
#pragma once

#include "tasks/extraction/invoice.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace celeriac {

struct Word {
  std::string text;  // UTF-8, without spaces
  Box box;
  float confidence = 1;  // 0..1; 1 for a text layer
};

struct PageText {
  float width = 0, height = 0;  // points
  std::vector<Word> words;      // in the engine's reading order
};

struct Attachment {
  std::string name;  // as the file says; never a path to write to
  std::string bytes;
};

// What is known of a PDF before any page is interpreted.
struct PdfFacts {
  std::vector<Attachment> xml;                   // embedded files named *.xml, within max_attachment_bytes
  std::vector<std::string> refused_attachments;  // names of those that were larger
  bool active_content = false;                   // JavaScript, Launch and the like; none of it is ever run
  bool image_bomb = false;                       // holds an image of more than max_image_pixels
  bool repaired = false;                         // the file was damaged
};

struct EngineLimits {
  std::size_t max_attachment_bytes = 16u << 20;
  std::size_t max_content_bytes = 64u << 20;     // unpacked page description, whole document
  std::uint64_t max_image_pixels = 100'000'000;  // A4 at 600 dpi is 35 million
};

// A decoded picture, at most limits.max_image_pixels.
class Image {
 public:
  virtual ~Image() = default;
  virtual int width() const = 0;
  virtual int height() const = 0;
};

class PdfDocument {
 public:
  virtual ~PdfDocument() = default;
  virtual int page_count() const = 0;
  virtual const PdfFacts& facts() const = 0;
  // Pages count from 1.
  virtual Extracted<PageText> text(int page) = 0;
  // Draws the page with about `dpi`, fewer when the page is huge.
  virtual Extracted<std::unique_ptr<Image>> render(int page, int dpi) = 0;
};

struct OcrControl {
  std::chrono::steady_clock::time_point deadline;
  std::function<bool()> cancelled;  // may be empty
};

class Engines {
 public:
  virtual ~Engines() = default;

  // `bytes` must outlive the document.
  virtual Extracted<std::unique_ptr<PdfDocument>> open_pdf(std::string_view bytes, const EngineLimits&) = 0;

  // How many pictures a file holds (TIFF may hold many), without decoding any.
  virtual Extracted<int> count_images(std::string_view bytes) = 0;
  virtual Extracted<std::unique_ptr<Image>> open_image(std::string_view bytes, int index,
                                                       const EngineLimits&) = 0;

  // Boxes come out in points, taking the picture as a page about 595 points wide.
  virtual Extracted<PageText> recognise(const Image&, const OcrControl&) = 0;

  // The OCR languages in use, "eng+deu"; empty when none is installed.
  virtual std::string ocr_languages() = 0;
};

// Loads the module on the first call; later calls return the same object. Looked for in
// $CELERIAC_ENGINES (a file), next to the executable, in ../<libdir>/celeriac (installed)
// and in ../bin (build tree) from there.
// Sets OMP_THREAD_LIMIT=1 unless set: Tesseract's threads cost more than they bring.
Extracted<Engines*> load_engines();

}  // namespace celeriac
