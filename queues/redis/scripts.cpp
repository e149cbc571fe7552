#include "queues/redis/scripts.hpp"

#include <openssl/evp.h>
#include <array>

namespace celeriac::redis {
namespace {

// Takes up to ARGV[4] messages, and no more once ARGV[5] bytes are reached, from the lists KEYS[6..]
// in their order, and records each in kombu's `unacked` pair under ARGV[2] .. number. Bodies are read
// some at a time. Per list: ARGV: how many to read first; what follows the envelope in `unacked`; the
// queue. Queues that are fields of KEYS[5] are paused and passed over.
// Answers [large, list, [message, ...], ...], or 'LEASE' when our lease is gone. `large` is the list at
// which it stopped because its bodies are too large for this way, or 0. Such a list is known by
// a 0 given, or found by a body of more than ARGV[6] bytes.
//
// When the lists are exhausted, each is read once more: that makes CLIENT TRACKING tell us
// of the next push. Reading comes last, because our own writes end the tracking of a key.
// Something that is no JSON object goes to KEYS[3] and leaves null in `unacked`, which kombu's
// sweep survives; it would not survive the bytes themselves.
// HSET comes after RPOP so that a server out of memory still lets us consume: it refuses only
// the first write of a script. Should
// HSET fail for another reason, the messages go back. A key that is no list is passed over: it must not keep
// the other queues from being served.
constexpr std::string_view claim_source = R"lua(
local alive = redis.call('EXISTS', KEYS[4], KEYS[4], KEYS[5])
if alive < 2 then return 'LEASE' end
local pauses = alive == 3
local score, owner, n = ARGV[1], ARGV[2], tonumber(ARGV[3])
local left, room, limit = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local out, large = {0}, 0
for k = 6, #KEYS do
  local list, chunk, tail = KEYS[k], tonumber(ARGV[3 * k - 11]), ARGV[3 * k - 10]
  local paused = pauses and redis.call('HEXISTS', KEYS[5], ARGV[3 * k - 9]) == 1
  if paused then chunk = 0 end
  if chunk == 0 and not paused then
    local size = redis.pcall('LLEN', list)
    if type(size) == 'number' and size > 0 then large = k - 5 end
  end
  while left > 0 and room > 0 and chunk > 0 do
    local want = math.min(left, chunk)
    local got = redis.pcall('RPOP', list, want)
    if not got then break end
    if got.err then
      if string.find(got.err, 'WRONGTYPE', 1, true) then break end
      return got
    end
    local values, scores, biggest = {}, {}, 1
    for i = 1, #got do
      local raw, tag = got[i], owner .. string.format('%d', n)
      n = n + 1
      room = room - #raw
      if #raw > biggest then biggest = #raw end
      values[2 * i - 1] = tag
      if string.byte(raw, 1) == 123 and string.byte(raw, -1) == 125 then
        values[2 * i] = '[' .. raw .. tail
      else
        values[2 * i] = '[null' .. tail
        redis.call('HSET', KEYS[3], tag, raw)
      end
      scores[2 * i - 1] = score
      scores[2 * i] = tag
    end
    local stored = redis.pcall('HSET', KEYS[1], unpack(values))
    if type(stored) == 'table' and stored.err then
      for i = #got, 1, -1 do redis.call('RPUSH', list, got[i]) end
      return stored
    end
    redis.call('ZADD', KEYS[2], unpack(scores))
    left = left - #got
    out[#out + 1] = k - 5
    out[#out + 1] = got
    if #got < want then break end
    if biggest > limit then
      large = k - 5
      break
    end
    chunk = math.max(1, math.min(64, math.floor(65536 / biggest)))
  end
  if left <= 0 or room <= 0 or large > 0 then break end
end
out[1] = large
if left > 0 and room > 0 and large == 0 then
  for k = 6, #KEYS do redis.pcall('LLEN', KEYS[k]) end
end
return out
)lua";

// Gives messages back: for each ARGV group <field> <number of lists> <list>... <payload>, and only if
// the field is still there, so that two who try give it back once. KEYS[4]: a lease; while it is held
// and ARGV[1] is '1' nothing is done and -1 answered. KEYS[5] then tells its owner what happened.
// ARGV[2]: RPUSH or LPUSH. ARGV[3]: only fields of at most this score, or ''.
constexpr std::string_view restore_source = R"lua(
local guarded = ARGV[1] == '1'
if guarded and redis.call('EXISTS', KEYS[4]) == 1 then return -1 end
local limit = tonumber(ARGV[3])
local done, i = 0, 4
while i <= #ARGV do
  local tag, lists = ARGV[i], tonumber(ARGV[i + 1])
  local old = true
  if limit then
    local score = redis.call('ZSCORE', KEYS[2], tag)
    old = score and tonumber(score) <= limit
  end
  if old then
    redis.call('ZREM', KEYS[2], tag)
    if redis.call('HDEL', KEYS[1], tag) == 1 then
      redis.call('HDEL', KEYS[3], tag)
      for k = 1, lists do redis.call(ARGV[2], ARGV[i + 1 + k], ARGV[i + 2 + lists]) end
      done = done + 1
    end
  end
  i = i + 3 + lists
end
if guarded and done > 0 then redis.call('SET', KEYS[5], '1', 'EX', 86400) end
return done
)lua";

// Moves the bytes of field ARGV[1] from `unacked` into a dead letter. ARGV[2]: length of what follows
// the envelope in the value. ARGV[3]: time. ARGV[4..]: fields of the letter. 0: not held any more.
constexpr std::string_view bury_source = R"lua(
local value = redis.call('HGET', KEYS[1], ARGV[1])
if not value then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
local raw = redis.call('HGET', KEYS[3], ARGV[1]) or string.sub(value, 2, -tonumber(ARGV[2]) - 1)
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[6], 'message', raw, 'time', ARGV[3], unpack(ARGV, 4))
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[5], ARGV[3], ARGV[1])
return 1
)lua";

// Renews the lease KEYS[1] of owner ARGV[1] for ARGV[2] ms, and looks for owners without one.
// Answers [was it still there, were messages given to others meanwhile, [dead owners]].
// PEXPIRE comes first: a server out of memory then accepts the rest.
constexpr std::string_view heartbeat_source = R"lua(
local held = redis.call('PEXPIRE', KEYS[1], ARGV[2])
if held == 0 then redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[2]) end
redis.call('SADD', KEYS[2], ARGV[1])
local taken = redis.call('DEL', KEYS[3])
local dead = {}
for _, owner in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  if owner ~= ARGV[1] and redis.call('EXISTS', ARGV[3] .. owner) == 0 then dead[#dead + 1] = owner end
end
return {held, taken, dead}
)lua";

// Strikes a recovered owner off, unless it came back.
constexpr std::string_view forget_source = R"lua(
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return redis.call('SREM', KEYS[2], ARGV[1])
)lua";

// One page of `unacked`, counted where it lies: [cursor, entries, routing key, held, delayed, ...].
constexpr std::string_view count_source = R"lua(
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local held, delayed, entries = {}, {}, page[2]
for i = 1, #entries, 2 do
  local queue = string.match(string.sub(entries[i + 1], -520), ', ?"([^"]*)"%]$') or ''
  local score = tonumber(redis.call('ZSCORE', KEYS[2], entries[i]) or 0)
  held[queue] = held[queue] or 0
  delayed[queue] = delayed[queue] or 0
  if score > tonumber(ARGV[3]) then delayed[queue] = delayed[queue] + 1 else held[queue] = held[queue] + 1 end
end
local out = {page[1], #entries / 2}
for queue, count in pairs(held) do
  out[#out + 1] = queue
  out[#out + 1] = count
  out[#out + 1] = delayed[queue]
end
return out
)lua";

constexpr std::string_view unlock_source = R"lua(
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
)lua";

// Sends ARGV[4] to the list KEYS[2] and writes ARGV[3] into field ARGV[1] of the hash KEYS[1], if ARGV[2]
// stands there. 1: done, perhaps by the same request before; 0: another record stands there.
constexpr std::string_view tick_source = R"lua(
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored == ARGV[3] then return 1 end
if stored ~= ARGV[2] then return 0 end
redis.call('LPUSH', KEYS[2], ARGV[4])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
)lua";

Script make(std::string_view source) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(source.data(), source.size(), digest.data(), &size, EVP_sha1(), nullptr);
  Script script{source, {}};
  for (unsigned i = 0; i < size; ++i) {
    script.sha += "0123456789abcdef"[digest[i] >> 4];
    script.sha += "0123456789abcdef"[digest[i] & 15];
  }
  return script;
}

}  // namespace

Scripts::Scripts()
    : claim(make(claim_source)),
      restore(make(restore_source)),
      bury(make(bury_source)),
      heartbeat(make(heartbeat_source)),
      forget(make(forget_source)),
      count(make(count_source)),
      unlock(make(unlock_source)),
      tick(make(tick_source)) {}

Request Scripts::load() const {
  Request request;
  for (const Script* script : {&claim, &restore, &bury, &heartbeat, &forget, &count, &unlock, &tick})
    request.add("SCRIPT", "LOAD", script->source);
  return request;
}

const Scripts& scripts() {
  static const Scripts all;
  return all;
}

}  // namespace celeriac::redis
