// The only switch on a URL's scheme.
#pragma once

#include "config/settings.hpp"
#include "queues/broker.hpp"
#include "queues/result_backend.hpp"

#include <boost/asio/io_context.hpp>
#include <memory>

namespace celeriac {

// The Error names an unknown scheme and the known ones, or the bad part of the URL.
Expected<std::unique_ptr<Broker>> make_broker(boost::asio::io_context& io, const Settings& settings);

// `url` is settings.result_backend or one of several. "disabled://" and "" give a null pointer.
Expected<std::unique_ptr<ResultBackend>> make_backend(boost::asio::io_context& io, const Settings& settings,
                                                      const std::string& url);

}  // namespace celeriac
