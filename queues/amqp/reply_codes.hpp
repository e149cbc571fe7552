// Codes with which a server closes a channel or a connection: AMQP 0-9-1, "reply codes".
#pragma once

namespace celeriac::amqp {

inline constexpr int access_refused = 403;
inline constexpr int not_found = 404;
inline constexpr int resource_locked = 405;
inline constexpr int precondition_failed = 406;
inline constexpr int not_allowed = 530;

}  // namespace celeriac::amqp
