#include "cli/live_screen.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <cerrno>

namespace celeriac {
namespace {

void write_out(const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t wrote = ::write(STDOUT_FILENO, text.data() + at, text.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return;  // the terminal has gone; the signal for that ends the command
    at += static_cast<std::size_t>(wrote);
  }
}

}  // namespace

LiveScreen::LiveScreen(boost::asio::io_context& io, std::function<void()> on_quit)
    : on_quit_(std::move(on_quit)), keys_(io) {
  if (::tcgetattr(STDIN_FILENO, &before_) == 0) {
    termios now = before_;
    now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    raw_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &now) == 0;
    keys_.assign(::dup(STDIN_FILENO));
    read_keys();
  }
  write_out("\x1b[?1049h\x1b[?25l");  // the other screen, no cursor
}

LiveScreen::~LiveScreen() {
  write_out("\x1b[?25h\x1b[?1049l");
  if (raw_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

void LiveScreen::read_keys() {
  keys_.async_read_some(boost::asio::buffer(&key_, 1),
                        [this](const boost::system::error_code& error, std::size_t) {
                          if (error) return;
                          constexpr char end_of_transmission = 4;
                          if (key_ == 'q' || key_ == 'Q' || key_ == end_of_transmission) return on_quit_();
                          read_keys();
                        });
}

LiveScreen::Size LiveScreen::size() const {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {80, 24};
  return {size.ws_col, size.ws_row};
}

void LiveScreen::draw(const std::vector<std::string>& lines) {
  std::string out = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i)
    out += lines[i] + "\x1b[K" + (i + 1 < lines.size() ? "\r\n" : "");
  write_out(out + "\x1b[J");
}

}  // namespace celeriac
