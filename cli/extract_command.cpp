#include "cli/extract_command.hpp"

#include "cli/command_line.hpp"
#include "tasks/extraction/invoice_json.hpp"
#include "tasks/extraction/isolated.hpp"

#include <unistd.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <thread>

namespace celeriac {
namespace {

namespace fs = std::filesystem;
using Document = nlohmann::ordered_json;

struct ExtractCall {
  std::vector<std::string> paths;
  bool no_embedded_xml = false;
  bool full = false;
  bool one = false;
  unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
  double timeout = 30;  // seconds
  std::string out;
};

std::string line_of(const Document& document) {
  return document.dump(-1, ' ', false, Document::error_handler_t::replace) + "\n";
}

std::string id_of(const std::string& path) { return fs::path(path).filename().string(); }

// In the process that reads one document.
int read_one(CommandContext& context, const ExtractCall& call) {
  constexpr std::size_t address_space = std::size_t{2} << 30;
  enter_isolation(address_space);
  ExtractOptions options;
  options.ignore_embedded_xml = call.no_embedded_xml;
  options.deadline = std::chrono::milliseconds(static_cast<long long>(call.timeout * 1000));
  const std::string& path = call.paths.front();
  const auto invoice = extract_file(path, options);
  if (!invoice) {
    context.out << line_of(error_line(id_of(path), invoice.error())) << std::flush;
    return exit_code::failure;
  }
  Document line = prediction_line(id_of(path), *invoice);
  if (call.full) {
    line = Document{{"id", id_of(path)}, {"status", "ok"}};
    line.update(to_json(*invoice));
  }
  context.out << line_of(line) << std::flush;
  return exit_code::ok;
}

// Folders give their files, in alphabetical order; hidden files are left out.
std::optional<std::vector<std::string>> files_of(CommandContext& context,
                                                 const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      if (!fs::exists(path, error)) {
        context.err << "Error: no such file: " << path << "\n";
        return std::nullopt;
      }
      files.push_back(path);
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry :
         fs::recursive_directory_iterator(path, fs::directory_options::skip_permission_denied, error))
      if (entry.is_regular_file(error) && !entry.path().filename().string().starts_with('.'))
        inside.push_back(entry.path().string());
    std::ranges::sort(inside);
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

int read_all(CommandContext& context, const ExtractCall& call, const std::vector<std::string>& files,
             std::ostream& out) {
  std::vector<std::vector<std::string>> commands;
  for (const std::string& file : files) {
    commands.push_back({"/proc/self/exe", "extract", "--one", "--timeout", std::to_string(call.timeout)});
    if (call.no_embedded_xml) commands.back().push_back("--no-embedded-xml");
    if (call.full) commands.back().push_back("--json");
    commands.back().insert(commands.back().end(), {"--", file});
  }
  const bool show =
      !context.globals.quiet && ::isatty(STDERR_FILENO) && (!call.out.empty() || !::isatty(STDOUT_FILENO));
  std::vector<std::optional<std::string>> lines(files.size());
  std::size_t written = 0, ended = 0;
  bool failed = false;
  IsolatedLimits limits;
  limits.parallel = call.jobs;
  limits.deadline = std::chrono::milliseconds(static_cast<long long>(call.timeout * 1000) + 5000);
  run_isolated(commands, limits, [&](std::size_t index, Extracted<std::string> output) {
    lines[index] = output ? *output : line_of(error_line(id_of(files[index]), output.error()));
    failed |= lines[index]->find("\"status\":\"error\"") != std::string::npos;
    for (; written < lines.size() && lines[written]; ++written) {
      out << *lines[written] << std::flush;
      lines[written]->clear();
    }
    ++ended;
    if (show)
      context.err << "\r\033[K" << ended << "/" << files.size() << "  " << id_of(files[index]) << std::flush;
  });
  if (show) context.err << "\r\033[K" << std::flush;
  return failed || !out ? exit_code::failure : exit_code::ok;
}

}  // namespace

int extract_command(CommandContext& context, const Arguments& args) {
  auto options =
      command_options("extract", "Read invoices from PDF, image and XML files; no broker is needed.");
  ExtractCall call;
  options->add_option("PATH", call.paths, "Files, or folders with all their files")->required();
  options->add_flag("--no-embedded-xml", call.no_embedded_xml,
                    "Read the pages of a PDF even when it carries an e-invoice");
  options->add_flag("-j,--json", call.full, "Print confidence, source, page and box of every value");
  options->add_option("--jobs", call.jobs, "Documents at once (default: one per CPU)")
      ->check(CLI::Range(1u, 256u));
  options->add_option("--timeout", call.timeout, "Seconds for one document")->check(CLI::Range(0.1, 3600.0));
  options->add_option("--out", call.out, "Write the lines to this file");
  options->add_flag("--one", call.one)->group("");
  if (const auto code = read_command(context, *options, args)) return *code;
  if (call.one) return read_one(context, call);

  const auto files = files_of(context, call.paths);
  if (!files) return exit_code::usage;
  try {
    if (call.out.empty()) return read_all(context, call, *files, context.out);
    std::ofstream out(call.out);
    if (!out) {
      context.err << "Error: cannot write " << call.out << "\n";
      return exit_code::cannot_create;
    }
    return read_all(context, call, *files, out);
  } catch (const std::system_error& error) {
    context.err << "Error: " << error.what() << "\n";
    return exit_code::failure;
  }
}

}  // namespace celeriac
