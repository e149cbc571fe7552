// Blocking PostgreSQL work away from the loop: a few threads, one connection each.
#pragma once

#include "tasks/store/database.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace celeriac::http {

class DatabaseThreads {
 public:
  // More than `most_waiting` requests are refused rather than kept.
  static constexpr std::size_t most_waiting = 256;

  DatabaseThreads(boost::asio::io_context& io, std::string url, std::size_t threads)
      : io_(io), url_(std::move(url)), pool_(threads) {}
  ~DatabaseThreads() { pool_.join(); }

  // False: too much waits already, and nothing will be called. Else `work` runs on a thread, and `done` on
  // the loop with what it returned, or with the error.
  template <class T>
  bool run(std::function<T(Database&)> work, std::function<void(T value, const DatabaseError* error)> done) {
    if (waiting_ >= most_waiting) return false;
    ++waiting_;
    boost::asio::post(pool_, [this, work = std::move(work), done = std::move(done)]() mutable {
      T value{};
      std::shared_ptr<DatabaseError> failure;
      try {
        value = work(connection());
      } catch (const DatabaseError& error) {
        failure = std::make_shared<DatabaseError>(error);
      } catch (const std::exception& error) {  // one request's fault is not every request's end
        failure = std::make_shared<DatabaseError>(SqlFailure::programming, "", error.what());
      }
      boost::asio::post(io_, [this, value = std::move(value), failure, done = std::move(done)]() mutable {
        --waiting_;
        done(std::move(value), failure.get());
      });
    });
    return true;
  }

  std::size_t waiting() const { return waiting_; }

 private:
  Database& connection() {
    thread_local std::unique_ptr<Database> database;
    if (!database || database->url() != url_) {
      Database::Options options;
      options.connect_timeout = std::chrono::seconds(2);
      options.statement_timeout = std::chrono::milliseconds(5000);
      options.application_name = "celeriac http";
      database = std::make_unique<Database>(url_, options);
    }
    return *database;
  }

  boost::asio::io_context& io_;
  std::string url_;
  std::size_t waiting_ = 0;
  boost::asio::thread_pool pool_;
};

}  // namespace celeriac::http
