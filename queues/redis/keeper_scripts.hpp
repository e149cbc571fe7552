// The Lua behind Keeper: what an operator's command changes, in one step each. Sent in full (EVAL): such
// commands are rare, and a server that forgot its scripts does not matter to them.
#pragma once

#include <string_view>

namespace celeriac::redis::keeper_scripts {

// Takes messages out of list KEYS[1] and, when ARGV[1] is '1', to the back of KEYS[2]. ARGV groups:
// <where it was> <bytes> <bytes for the new list>. One that has moved is looked for; one that is
// gone is passed over. LPUSH comes first: should the server refuse to write, nothing has happened.
inline constexpr std::string_view take_out = R"lua(
local done, gone = 0, string.char(0) .. 'celeriac.taken.out'
for i = 2, #ARGV, 3 do
  local at, bytes = tonumber(ARGV[i]), ARGV[i + 1]
  if redis.call('LINDEX', KEYS[1], at) ~= bytes then
    at = redis.call('LPOS', KEYS[1], bytes, 'RANK', -1)
  end
  if at then
    if ARGV[1] == '1' then redis.call('LPUSH', KEYS[2], ARGV[i + 2]) end
    redis.call('LSET', KEYS[1], at, gone)
    done = done + 1
  end
end
if done > 0 then redis.call('LREM', KEYS[1], -done, gone) end
return done
)lua";

// Dead letter ARGV[1] back to list KEYS[4]: its own bytes, or ARGV[3] when that is not empty.
inline constexpr std::string_view requeue = R"lua(
local raw = redis.call('HGET', KEYS[1], 'message')
if not raw then return 0 end
if ARGV[3] ~= '' then raw = ARGV[3] end
redis.call('LPUSH', KEYS[4], raw)
redis.call('SADD', KEYS[5], ARGV[2])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
)lua";

// ARGV[2]: the key of a queue's dead letters, but for the queue's name.
inline constexpr std::string_view discard = R"lua(
local queue = redis.call('HGET', KEYS[1], 'queue')
if not queue then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', ARGV[2] .. queue, ARGV[1])
return 1
)lua";

// One page of `unacked`: [cursor, field, score, value, ...] of what may wait for an ETA: our own fields
// by their score; kombu's, which have no colon, when they hold one.
inline constexpr std::string_view delayed = R"lua(
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local out, entries, now = {page[1]}, page[2], tonumber(ARGV[3])
for i = 1, #entries, 2 do
  local field, value = entries[i], entries[i + 1]
  local score = redis.call('ZSCORE', KEYS[2], field) or '0'
  local ours = string.find(field, ':', 1, true)
  if (ours and tonumber(score) > now) or (not ours and string.find(value, '"eta": "', 1, true)) then
    out[#out + 1] = field
    out[#out + 1] = score
    out[#out + 1] = value
  end
end
return out
)lua";

// Takes field ARGV[1] out of `unacked`; with a third key, pushes ARGV[2] to that list, to be next.
inline constexpr std::string_view hasten = R"lua(
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
if KEYS[3] then redis.call('RPUSH', KEYS[3], ARGV[2]) end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
)lua";

}  // namespace celeriac::redis::keeper_scripts
