#include "protocol/uuid.hpp"

#include <sys/random.h>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

namespace celeriac {
namespace {

// Random bytes of the kernel, fetched for many UUIDs at once.
class RandomPool {
 public:
  const unsigned char* take16() {
    if (at_ == sizeof bytes_) fill();
    const unsigned char* taken = bytes_ + at_;
    at_ += 16;
    return taken;
  }

 private:
  void fill() {
    std::size_t have = 0;
    while (have < sizeof bytes_) {
      const auto got = getrandom(bytes_ + have, sizeof bytes_ - have, 0);
      if (got > 0) {
        have += static_cast<std::size_t>(got);
      } else if (errno != EINTR) {
        std::abort();  // Linux without getrandom: nothing can be named any more
      }
    }
    at_ = 0;
  }

  unsigned char bytes_[2048];
  std::size_t at_ = sizeof bytes_;
};

}  // namespace

std::string uuid4() {
  thread_local RandomPool pool;
  const unsigned char* random = pool.take16();
  constexpr char digits[] = "0123456789abcdef";
  std::string text(36, '-');
  std::size_t at = 0;
  for (int i = 0; i < 16; ++i) {
    unsigned byte = random[i];
    if (i == 6) byte = (byte & 0x0F) | 0x40;
    if (i == 8) byte = (byte & 0x3F) | 0x80;
    if (i == 4 || i == 6 || i == 8 || i == 10) ++at;
    text[at++] = digits[byte >> 4];
    text[at++] = digits[byte & 15];
  }
  return text;
}

}  // namespace celeriac
