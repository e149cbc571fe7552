#include "tests/queues/cutting_proxy.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <list>
#include <thread>

namespace celeriac::testing {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

struct Link : std::enable_shared_from_this<Link> {
  explicit Link(tcp::socket client) : left(std::move(client)), right(left.get_executor()) {}

  void close() {
    error_code ignored;  // closing twice is fine
    left.close(ignored);
    right.close(ignored);
  }

  void relay(tcp::socket& from, tcp::socket& to, std::array<char, 65536>& buffer) {
    from.async_read_some(asio::buffer(buffer), [this, self = shared_from_this(), &from, &to, &buffer](
                                                   error_code ec, std::size_t size) {
      if (ec) return close();
      asio::async_write(to, asio::buffer(buffer, size),
                        [this, self, &from, &to, &buffer](error_code failed, std::size_t) {
                          if (failed) return close();
                          relay(from, to, buffer);
                        });
    });
  }

  tcp::socket left, right;
  std::array<char, 65536> there, back;
};

}  // namespace

struct CuttingProxy::Impl {
  explicit Impl(std::uint16_t port)
      : server(asio::ip::address_v4::loopback(), port),
        acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    accept();
    thread = std::thread([this] { io.run(); });
  }

  void accept() {
    acceptor.async_accept([this](error_code ec, tcp::socket client) {
      if (ec) return;
      auto link = std::make_shared<Link>(std::move(client));
      links.push_back(link);
      link->right.async_connect(server, [link](error_code failed) {
        if (failed) return link->close();
        link->relay(link->left, link->right, link->there);
        link->relay(link->right, link->left, link->back);
      });
      accept();
    });
  }

  asio::io_context io;
  tcp::endpoint server;
  tcp::acceptor acceptor;
  std::list<std::weak_ptr<Link>> links;
  std::thread thread;
};

CuttingProxy::CuttingProxy(std::uint16_t server_port) : impl_(std::make_unique<Impl>(server_port)) {}

CuttingProxy::~CuttingProxy() {
  impl_->io.stop();
  impl_->thread.join();
}

std::uint16_t CuttingProxy::port() const { return impl_->acceptor.local_endpoint().port(); }

void CuttingProxy::cut() {
  asio::post(impl_->io, [this] {
    for (auto& weak : impl_->links)
      if (auto link = weak.lock()) link->close();
    impl_->links.clear();
  });
}

}  // namespace celeriac::testing
