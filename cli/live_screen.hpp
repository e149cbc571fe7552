// The terminal as a screen that is drawn again and again, given back as it was.
#pragma once

#include <termios.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <string>
#include <vector>

namespace celeriac {

class LiveScreen {
 public:
  // `on_quit`: q or Ctrl-D was typed. Ctrl-C stays a signal.
  LiveScreen(boost::asio::io_context& io, std::function<void()> on_quit);
  ~LiveScreen();
  LiveScreen(const LiveScreen&) = delete;
  LiveScreen& operator=(const LiveScreen&) = delete;

  struct Size {
    std::size_t columns, rows;
  };
  Size size() const;
  void draw(const std::vector<std::string>& lines);

 private:
  void read_keys();

  std::function<void()> on_quit_;
  termios before_{};
  bool raw_ = false;
  boost::asio::posix::stream_descriptor keys_;
  char key_ = 0;
};

}  // namespace celeriac
