// The hook to a virus scanner, with a real clamd whose only signature is that of EICAR's test file.
#include "tasks/engines/virus_scan.hpp"
#include "tests/tasks/process_fixture.hpp"
#include "tests/tasks/store_database.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

using namespace celeriac;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

// In two pieces, so that no scanner takes this source for it.
const std::string eicar =
    std::string("X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD") + "-ANTIVIRUS-TEST-FILE!$H+H*";

class Clamd {
 public:
  Clamd() {
    std::string folder = (fs::temp_directory_path() / "celeriac-clamd-XXXXXX").string();
    folder_ = ::mkdtemp(folder.data());
    fs::create_directory(folder_ / "database");
    std::ofstream(folder_ / "database" / "eicar.hdb")
        << "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-File\n";
    std::ofstream(folder_ / "clamd.conf")
        << "Foreground yes\nLocalSocket " << socket() << "\nDatabaseDirectory "
        << (folder_ / "database").string() << "\nStreamMaxLength 1M\n";
    const std::string config = "--config-file=" + (folder_ / "clamd.conf").string();
    const std::string log = (folder_ / "log").string();
    pid_ = ::fork();
    if (pid_ == 0) {
      if (!std::freopen(log.c_str(), "w", stdout) || ::dup2(STDOUT_FILENO, STDERR_FILENO) < 0) ::_exit(126);
      ::execl("/usr/sbin/clamd", "clamd", config.c_str(), static_cast<char*>(nullptr));
      ::_exit(127);
    }
    const auto end = std::chrono::steady_clock::now() + 120s;
    while (!scan_for_viruses(url(), "x", 5s)) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      REQUIRE(::waitpid(pid_, nullptr, WNOHANG) == 0);
      std::this_thread::sleep_for(50ms);
    }
  }
  ~Clamd() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    fs::remove_all(folder_);
  }
  std::string url() const { return "unix:" + socket(); }

 private:
  std::string socket() const { return (folder_ / "clamd.sock").string(); }
  fs::path folder_;
  pid_t pid_ = -1;
};

}  // namespace

TEST_CASE("clean, found, too long, not there") {
  const Clamd clamd;
  CHECK_FALSE(scan_for_viruses(clamd.url(), "an invoice", 30s)->has_value());
  CHECK_FALSE(scan_for_viruses(clamd.url(), "", 30s)->has_value());
  CHECK_FALSE(scan_for_viruses(clamd.url(), std::string(900'000, 'x'), 30s)->has_value());
  const auto found = scan_for_viruses(clamd.url(), eicar, 30s);
  REQUIRE(found);
  REQUIRE(found->has_value());
  CHECK((**found).starts_with("Eicar-Test-File"));
  const auto too_long = scan_for_viruses(clamd.url(), std::string(3u << 20, 'x'), 30s);
  REQUIRE_FALSE(too_long);
  for (const char* nobody : {"unix:/nowhere/clamd.sock", "clamd://127.0.0.1:1", "http://127.0.0.1/", ""}) {
    CAPTURE(nobody);
    CHECK_FALSE(scan_for_viruses(nobody, "x", 5s));
  }
}

TEST_CASE("an infected document is neither read nor stored, and one that nobody judged is tried again") {
  const Clamd clamd;
  testing::InvoiceStage stage;
  stage.config.virus_scan_url = clamd.url();
  CHECK(stage.failure(stage.document(eicar), "t1") == "InfectedDocument");
  CHECK(stage.extractions == 0);
  CHECK(stage.sql("SELECT status || ' ' || error_code FROM processing_jobs") == "failed InfectedDocument");
  CHECK(stage.sql("SELECT count(*) FROM file_storage") == "0");
  CHECK(stage.failure(stage.document("%PDF clean"), "t2").empty());

  stage.config.virus_scan_url = "unix:/nowhere";
  CHECK(stage.failure(stage.document("%PDF two"), "t3") == "VirusScanUnavailable");
  CHECK(stage.extractions == 1);
}
