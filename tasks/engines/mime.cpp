#include "tasks/engines/mime.hpp"

#include "tasks/engines/load_module.hpp"

namespace celeriac {

Expected<Mail> parse_mail(std::string_view bytes, const MailLimits& limits) {
  using Parse = void (*)(std::string_view, const MailLimits&, Expected<Mail>&);
  static const Expected<void*> parse = load_module("celeriac_mime.so", "celeriac_parse_mail");
  if (!parse) return tl::unexpected(parse.error());
  Expected<Mail> mail;
  reinterpret_cast<Parse> (*parse)(bytes, limits, mail);
  return mail;
}

}  // namespace celeriac
