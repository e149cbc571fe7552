// What a file is, judged by its first bytes. The name and any announced type are not asked:
// both come from whoever sent the file. A table of a dozen signatures serves better than
// libmagic here, because a PDF may start anywhere in its first KiB and an XML document has
// to be told from HTML and SVG.
#pragma once

#include <string_view>

namespace celeriac {

enum class FileType { empty, pdf, png, jpeg, tiff, bmp, gif, webp, xml, svg, html, text, unknown };

FileType detect_file_type(std::string_view bytes);
std::string_view mime_type(FileType);
bool is_image(FileType);  // of a kind the image reader decodes

}  // namespace celeriac
