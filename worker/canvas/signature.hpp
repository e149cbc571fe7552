// Signatures: tasks and compositions of tasks as JSON objects, the form they have in messages.
//
//   {"task": name, "args": [...], "kwargs": {...}, "options": {...}, "subtask_type": null|"chain"|"group"|
//    "chord"|..., "immutable": false}
//
// Functions here work on Json values in place; a signature that came off the wire is checked once with
// check_signature() and trusted afterwards.
#pragma once

#include "protocol/json.hpp"

#include <string>

namespace celeriac::canvas {

enum class Kind { task, chain, group, chord };
Kind kind_of(const Json& signature);

// Refuses what cannot be applied: missing names, wrong types, nesting beyond `max_depth`.
// Fills in missing optional members. The Error names the path of what is wrong.
Expected<bool> check_signature(Json& signature, int max_depth = 64);

// The parts of a composition, wherever its kind keeps them. Only for that kind.
Json& chain_tasks(Json& chain);
Json& group_tasks(Json& group);
Json& chord_header(Json& chord);  // a list of signatures (a group is opened)
Json& chord_body(Json& chord);

Json make_task(std::string_view name, Json args, Json kwargs, Json options = Json::object());
Json make_chain(Json tasks);
Json make_group(Json tasks);
Json make_chord(Json header, Json body);

// The signature with further arguments: `args` go in front, `kwargs` and `options` win over the stored
// ones, except a stored group_id and stored stamps. An immutable signature takes options only.
void merge(Json& signature, const Json& args, const Json& kwargs, Json options);

// Adds a callback or errback where its kind keeps them, without repeating what is there: a chord's belong
// to its body, a group's callback to its first member, a group's errback to every member.
void link(Json& signature, const Json& callback);
void link_error(Json& signature, const Json& errback);

// Options as they may be written: a list or one signature; a text or nothing.
Json list_option(const Json& signature, const char* name);
std::string text_option(const Json& signature, const char* name);

// How many results a chord waits for from this header member.
std::int64_t chord_size(const Json& signature);

}  // namespace celeriac::canvas
