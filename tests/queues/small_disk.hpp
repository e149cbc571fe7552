// A file system of a few hundred kilobytes that a test can fill. Needs the right to mount; a test asks
// available() first and says so when it cannot run.
#pragma once

#include <sys/mount.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace celeriac::testing {

class SmallDisk {
 public:
  explicit SmallDisk(const std::string& size = "1m") {
    std::string pattern = (std::filesystem::temp_directory_path() / "celeriac-disk-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp failed");
    folder_ = pattern;
    mounted_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
    std::error_code ignored;  // an empty folder left behind harms nobody
    std::filesystem::remove_all(folder_, ignored);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool available() const { return mounted_; }
  const std::string& folder() const { return folder_; }

  // Leaves less than a page.
  void fill() {
    std::ofstream filler(folder_ + "/filler", std::ios::binary);
    const std::string page(4096, 'x');
    while (filler.write(page.data(), static_cast<std::streamsize>(page.size())) && filler.flush()) {
    }
  }
  void make_room() { std::filesystem::remove(folder_ + "/filler"); }

 private:
  std::string folder_;
  bool mounted_ = false;
};

}  // namespace celeriac::testing
