// What a node says of itself: settings without secrets, broker, pool, queues, resources.
#pragma once

#include "protocol/json.hpp"
#include "worker/control/panel.hpp"

#include <string>

namespace celeriac {

// Secrets are blanked. Without `with_defaults` only what differs from the defaults.
Json shown_settings(const Settings& settings, bool with_defaults);

Json broker_facts(const Settings& settings);
Json pool_facts(const ControlPanel& panel);
Json resource_usage();  // getrusage() of this process
Json queue_facts(const std::string& queue, const Settings& settings);
std::string report_text(const ControlPanel& panel);

}  // namespace celeriac
