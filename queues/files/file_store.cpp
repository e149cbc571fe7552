#include "queues/files/file_store.hpp"

#include "protocol/result.hpp"
#include "queues/result_keys.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <system_error>

namespace celeriac {
namespace {

constexpr std::size_t max_name = 255;         // of a file, in bytes, on every file system that matters
constexpr std::size_t max_file = 512u << 20;  // as on Redis
constexpr std::string_view unfinished = ".celeriac-";  // begins the name of a file until it is whole

std::string problem(int error) { return std::generic_category().message(error); }

// A descriptor, closed at the end.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  bool is_open() const { return descriptor_ >= 0; }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

class FileStore : public BlockingStore {
 public:
  FileStore(const Settings& settings, std::string folder)
      : folder_(std::move(folder)), prefix_(result_prefix(settings.result_backend_transport_options)) {}

  std::optional<StoreFault> open() override {
    directory_ = File(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory_.is_open()) return fault(errno, !was_open_);
    if (::faccessat(directory_.get(), ".", W_OK | X_OK, 0) != 0) return fault(errno, !was_open_);
    was_open_ = true;
    return std::nullopt;
  }

  // Every file is written under another name and renamed once its bytes are on the disk: a reader, a crash
  // or a full disk never meets half a result. One sync serves the batch.
  StoreAnswer<std::vector<Status>> store(const std::vector<const TaskResult*>& batch) override {
    std::vector<Status> verdicts(batch.size());
    std::map<std::string, const TaskResult*> last;  // by file name
    for (std::size_t i = 0; i < batch.size(); ++i) {
      std::string name = task_key(prefix_, batch[i]->task_id);
      if (name.size() > max_name || name.find_first_of(std::string_view("/\0", 2)) != std::string::npos) {
        verdicts[i].what = "its id cannot be the name of a file";
        continue;
      }
      auto& kept = last[std::move(name)];
      if (!kept || kept->status != state::success) kept = batch[i];
    }
    std::vector<std::pair<std::string, std::string>> written;  // name, name until then
    std::optional<StoreFault> trouble;
    for (auto& [name, result] : last) {
      const auto kept = read(name, success_begins.size());
      if (!kept) {
        trouble = kept.error();
        break;
      }
      if (*kept == success_begins) continue;
      const std::string early =
          std::string(unfinished) + std::to_string(::getpid()) + "-" + std::to_string(++counter_);
      written.emplace_back(name, early);
      if ((trouble = write(early, write_result(*result)))) break;
    }
    if (!trouble && !written.empty() && ::syncfs(directory_.get()) != 0) trouble = fault(errno);
    for (auto& [name, early] : written) {
      if (!trouble && ::renameat(directory_.get(), early.c_str(), directory_.get(), name.c_str()) != 0)
        trouble = fault(errno);
      if (trouble) ::unlinkat(directory_.get(), early.c_str(), 0);
    }
    if (!trouble && !written.empty() && ::fsync(directory_.get()) != 0) trouble = fault(errno);
    if (trouble) return tl::unexpected<StoreFault>(std::move(*trouble));
    return verdicts;
  }

  StoreAnswer<Expected<std::optional<Json>>> fetch(const std::string& task_id) override {
    using Meta = Expected<std::optional<Json>>;
    const std::string name = task_key(prefix_, task_id);
    auto text = read(name, max_file);
    if (!text) return tl::unexpected<StoreFault>(std::move(text).error());
    if (!*text) return Meta(std::nullopt);
    auto meta = read_result(**text);
    if (!meta) return Meta(unexpected(name + ": " + meta.error().what));
    return Meta(std::move(*meta));
  }

  StoreAnswer<bool> forget(const std::string& task_id) override {
    const std::string name = task_key(prefix_, task_id);
    if (::unlinkat(directory_.get(), name.c_str(), 0) == 0) return true;
    if (nobody_has(errno)) return false;
    return tl::unexpected<StoreFault>(fault(errno));
  }

  // Celery's keys by the time of their last change, and what a crash left behind.
  StoreAnswer<std::uint64_t> expire(double before) override {
    std::uint64_t deleted = 0;
    const int copy = ::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    std::unique_ptr<DIR, int (*)(DIR*)> listing(copy < 0 ? nullptr : ::fdopendir(copy), &::closedir);
    if (!listing) return tl::unexpected<StoreFault>(fault(errno));
    while (const dirent* entry = ::readdir(listing.get())) {
      const std::string_view name = entry->d_name;
      if (!name.starts_with(prefix_ + "celery-task-meta-") &&
          !name.starts_with(prefix_ + "celery-taskset-meta-") &&
          !name.starts_with(prefix_ + "chord-unlock-") && !name.starts_with(unfinished))
        continue;
      struct stat facts {};
      if (::fstatat(directory_.get(), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone
      if (static_cast<double>(facts.st_mtim.tv_sec) < before &&
          ::unlinkat(directory_.get(), entry->d_name, 0) == 0)
        ++deleted;
    }
    return deleted;
  }

 private:
  static bool nobody_has(int error) { return error == ENOENT || error == ENAMETOOLONG; }

  StoreFault fault(int error, bool for_good = false) const {
    return {"result folder '" + folder_ + "': " + problem(error), for_good};
  }

  std::optional<StoreFault> write(const std::string& name, const std::string& bytes) {
    File file(::openat(directory_.get(), name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!file.is_open() || !write_all(file.get(), bytes)) return fault(errno);
    return std::nullopt;
  }

  // nullopt inside: there is no such file.
  StoreAnswer<std::optional<std::string>> read(const std::string& name, std::size_t limit) {
    File file(::openat(directory_.get(), name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open()) {
      if (nobody_has(errno)) return std::optional<std::string>();
      return tl::unexpected<StoreFault>(fault(errno));
    }
    std::string out;
    char piece[16384];
    while (out.size() < limit) {
      const auto got = ::read(file.get(), piece, std::min(sizeof piece, limit - out.size()));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return tl::unexpected<StoreFault>(fault(errno));
      if (got == 0) break;
      out.append(piece, static_cast<std::size_t>(got));
    }
    return std::optional<std::string>(std::move(out));
  }

  const std::string folder_, prefix_;
  bool was_open_ = false;
  File directory_{-1};
  std::uint64_t counter_ = 0;
};

}  // namespace

Expected<std::unique_ptr<BlockingStore>> make_file_store(const Settings& settings, std::string_view url) {
  std::string_view folder = url.substr(url.find("://") + 3);
  if (folder.starts_with("localhost/")) folder.remove_prefix(9);
  if (!folder.starts_with("/"))
    return unexpected("'" + std::string(url) + "': write file:///absolute/folder for results as files");
  return std::make_unique<FileStore>(settings, std::string(folder));
}

}  // namespace celeriac
