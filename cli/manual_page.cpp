#include "cli/manual_page.hpp"

#include <ostream>
#include <sstream>

namespace celeriac {
namespace {

// A line that begins with a dot or an apostrophe would be a request, a backslash an escape, and a bare
// minus a hyphen that nobody can paste into a shell.
std::string plain(const std::string& line) {
  std::string out;
  if (!line.empty() && (line.front() == '.' || line.front() == '\'')) out = "\\&";
  for (char c : line) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  return out;
}

// Help pages have columns: filling would destroy them.
void unfilled(std::ostream& out, const std::string& text) {
  out << ".nf\n";
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out << plain(line) << "\n";
  out << ".fi\n";
}

}  // namespace

void write_manual_page(std::ostream& out, const std::vector<HelpPage>& pages, const std::string& version) {
  out << ".\\\" Written by `celeriac help --man`.\n"
         ".TH CELERIAC 1 \"\" \"celeriac "
      << plain(version)
      << "\" \"User Commands\"\n"
         ".SH NAME\nceleriac \\- run and look after Celery tasks\n"
         ".SH SYNOPSIS\n.B celeriac\n[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]\n"
         ".SH DESCRIPTION\n"
         "Takes the place of a Celery worker: producers, Flower and the commands of Celery stay as they "
         "are.\n";
  for (const HelpPage& page : pages) {
    if (page.name.empty())
      out << ".SH OPTIONS\n";
    else
      out << ".SS celeriac " << plain(page.name) << "\n";
    unfilled(out, page.text);
    if (page.name.empty()) out << ".SH COMMANDS\n";
  }
  out << ".SH FILES\n"
         ".TP\n.I ./celeriac.toml\nsettings, when neither \\fB\\-\\-config\\fR nor \\fB$CELERIAC_CONFIG\\fR "
         "names another file\n"
         ".TP\n.I /etc/celeriac/celeriac.toml\nsettings of the systemd units\n"
         ".SH ENVIRONMENT\n"
         ".TP\n.B CELERIAC_CONFIG\nthe file of settings\n"
         ".TP\n.B CELERY_\\fINAME\\fR\nany setting, by its name in capitals\n"
         ".TP\n.B CELERIAC_ENGINES\nthe folder of the modules, or one of them, instead of the installed "
         "ones\n"
         ".TP\n.B NO_COLOR\nno colour\n"
         ".SH EXIT STATUS\n"
         "0: done. 1: failed. 2: wrong usage or settings. 69: no node replied, or the broker is away.\n"
         "73: a pid file, port or folder is taken.\n"
         ".SH SEE ALSO\n"
         "\\fBcelery\\fR(1), \\fBredis\\-server\\fR(1), \\fBrabbitmqctl\\fR(8)\n";
}

}  // namespace celeriac
