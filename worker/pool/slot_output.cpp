#include "worker/pool/slot_output.hpp"

#include <algorithm>
#include <iostream>
#include <new>
#include <streambuf>
#include <string_view>
#include <utility>

namespace celeriac {
namespace {

constexpr std::size_t longest_line = 8192;  // bytes; what is longer becomes several lines
constexpr std::size_t most_waiting =
    10000;  // lines of other threads while the task prints none; more are dropped

}  // namespace

// A C++ stream that writes on at once into a C one: both keep their order.
class SlotOutput::Buffer : public std::streambuf {
 public:
  Buffer(std::ostream& stream, std::FILE* file) : stream_(stream), file_(file), old_(stream.rdbuf(this)) {}
  ~Buffer() override { stream_.rdbuf(old_); }

 protected:
  int_type overflow(int_type c) override {
    if (traits_type::eq_int_type(c, traits_type::eof())) return traits_type::not_eof(c);
    return std::fputc(traits_type::to_char_type(c), file_) == EOF ? traits_type::eof() : c;
  }
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    return static_cast<std::streamsize>(std::fwrite(text, 1, static_cast<std::size_t>(size), file_));
  }
  int sync() override { return 0; }  // lines leave by themselves; a flush must not cut one in two

 private:
  std::ostream& stream_;
  std::FILE* file_;
  std::streambuf* old_;
};

SlotOutput::SlotOutput(std::function<void(std::string)> line)
    : line_(std::move(line)),
      owner_(std::this_thread::get_id()),
      out_cookie_{this, &partial_out_},
      err_cookie_{this, &partial_err_},
      old_out_(stdout),
      old_err_(stderr) {
  cookie_io_functions_t functions{};
  functions.write = [](void* cookie, const char* bytes, std::size_t size) {
    return write(cookie, bytes, size);
  };
  std::fflush(nullptr);
  new_out_ = fopencookie(&out_cookie_, "w", functions);
  new_err_ = fopencookie(&err_cookie_, "w", functions);
  if (!new_out_ || !new_err_) throw std::bad_alloc();
  // The lines are put together here: a buffer of the stream's own would keep them from threads and crashes.
  std::setvbuf(new_out_, nullptr, _IONBF, 0);
  std::setvbuf(new_err_, nullptr, _IONBF, 0);
  stdout = new_out_;
  stderr = new_err_;
  cout_ = std::make_unique<Buffer>(std::cout, new_out_);
  cerr_ = std::make_unique<Buffer>(std::cerr, new_err_);
  std::clog.rdbuf(cerr_.get());
}

SlotOutput::~SlotOutput() {
  end_of_job();
  cerr_.reset();
  cout_.reset();
  std::clog.rdbuf(std::cerr.rdbuf());
  stdout = old_out_;
  stderr = old_err_;
  std::fclose(new_out_);
  std::fclose(new_err_);
}

long SlotOutput::write(void* cookie, const char* bytes, std::size_t size) {
  const auto& to = *static_cast<Cookie*>(cookie);
  to.output->take(*to.partial, {bytes, size});
  return static_cast<long>(size);
}

void SlotOutput::take(std::string& partial, std::string_view bytes) {
  {
    const std::lock_guard lock(mutex_);
    while (!bytes.empty()) {
      const std::size_t room = longest_line - partial.size();
      const std::size_t end = bytes.find('\n');
      const std::size_t part = std::min({end, bytes.size(), room});
      partial.append(bytes.substr(0, part));
      bytes.remove_prefix(part);
      const bool ended = !bytes.empty() && bytes.front() == '\n';
      if (ended) bytes.remove_prefix(1);
      if (!ended && partial.size() < longest_line) continue;
      if (waiting_.size() < most_waiting && !partial.empty()) waiting_.push_back(partial);
      partial.clear();
    }
  }
  if (std::this_thread::get_id() == owner_) hand_over();
}

void SlotOutput::hand_over() {
  if (!in_job_ || std::exchange(handing_over_, true)) return;
  for (;;) {
    std::vector<std::string> lines;
    {
      const std::lock_guard lock(mutex_);
      lines.swap(waiting_);
    }
    if (lines.empty()) break;
    for (std::string& line : lines) line_(std::move(line));
  }
  handing_over_ = false;
}

void SlotOutput::start_of_job() {
  const std::lock_guard lock(mutex_);
  waiting_.clear();  // of a thread that outlived its task
  partial_out_.clear();
  partial_err_.clear();
  in_job_ = true;
}

void SlotOutput::end_of_job() {
  if (!in_job_) return;
  {
    const std::lock_guard lock(mutex_);
    for (std::string* partial : {&partial_out_, &partial_err_}) {
      if (!partial->empty()) waiting_.push_back(std::exchange(*partial, {}));
    }
  }
  hand_over();
  in_job_ = false;
}

}  // namespace celeriac
