// Node names ("celery@host") and the % abbreviations that -n, --logfile, --pidfile and
// --statedb share.
#pragma once

#include <string>
#include <string_view>

namespace celeriac {

// `format` as given to -n; a name without '@' gets the host appended.
// %h: full host name, %n: its first label, %d: the rest, %%: a percent sign.
std::string expand_node_name(std::string_view format, std::string_view host);

// %p: the node's full name, %n: its part before '@', %h: the part after, %d: the domain in it,
// %i: the slot's number (0 in the worker itself), %I: the same with a leading '-', empty for 0.
std::string expand_path(std::string_view format, std::string_view node, unsigned slot = 0);

std::string host_name();

}  // namespace celeriac
