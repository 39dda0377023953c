import { defineScript } from './lua-script.js'

/** Scripts give 1 or 0 · remaining · retry after · reset after · receipt; times in microseconds of Redis' own clock. */

/**
 * The exact log: a sorted set with the moment of every call as seconds since 1970, as documented. Time is never before the last call's, so that
 * a clock that is set back, or a replica's, admits nothing twice.
 *
 * KEYS the set · ARGV limit · window in µs · cost · token that no other call has
 */
export const logScript = defineScript(
  'limit-log',
  `local key, limit, window, cost = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local micros = function(score) return math.floor(tonumber(score) * 1000000 + 0.5) end
local score = function(at) return string.format('%.6f', at / 1000000) end
local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
local newest = last[2] and micros(last[2]) or 0
if newest > now then now = newest end
if newest > 0 then redis.call('ZREMRANGEBYSCORE', key, '-inf', score(now - window)) end
local count = newest > 0 and redis.call('ZCARD', key) or 0
local over = count + cost - limit
if over > 0 then
  local leaving = redis.call('ZRANGE', key, over - 1, over - 1, 'WITHSCORES')
  return { 0, limit - count, micros(leaving[2]) + window - now, newest + window - now, '' }
end
local at = score(now)
for n = 1, cost do redis.call('ZADD', key, at, ARGV[4] .. ':' .. n) end
redis.call('PEXPIRE', key, math.ceil(window / 1000) + 1000)
return { 1, limit - count - cost, 0, window, ARGV[4] }`,
)

/** KEYS the set · ARGV cost · token */
export const logBackScript = defineScript(
  'limit-log-back',
  `for n = 1, tonumber(ARGV[1]) do redis.call('ZREM', KEYS[1], ARGV[2] .. ':' .. n) end
return 1`,
)

/**
 * Twenty buckets and the one that is filled: a call counts for the whole window at least. Time is never before the newest bucket's.
 *
 * KEYS the hash · ARGV limit · window in µs · cost · buckets
 */
export const ringScript = defineScript(
  'limit-ring',
  `local key, limit, window, cost, buckets = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local width = window / buckets
local newest = math.floor(now / width)
local flat = redis.call('HGETALL', key)
for i = 1, #flat, 2 do newest = math.max(newest, tonumber(flat[i])) end
now = math.max(now, newest * width)
local counts, sum, last = {}, 0, nil
for i = 1, #flat, 2 do
  local bucket, count = tonumber(flat[i]), tonumber(flat[i + 1])
  if bucket < newest - buckets or count <= 0 then redis.call('HDEL', key, flat[i])
  else
    counts[bucket] = count
    sum = sum + count
    if not last or bucket > last then last = bucket end
  end
end
local leaves = function(bucket) return math.ceil((bucket + buckets + 1) * width - now) end
local over = sum + cost - limit
if over > 0 then
  local left, wait = 0, 0
  for bucket = newest - buckets, newest do
    left = left + (counts[bucket] or 0)
    if left >= over then wait = leaves(bucket); break end
  end
  return { 0, limit - sum, wait, leaves(last or newest), '' }
end
local field = string.format('%.0f', newest)
redis.call('HINCRBY', key, field, cost)
redis.call('PEXPIRE', key, math.ceil((window + width) / 1000) + 1000)
return { 1, limit - sum - cost, 0, leaves(newest), field }`,
)

/** KEYS the hash · ARGV cost · bucket */
export const ringBackScript = defineScript(
  'limit-ring-back',
  `local count = tonumber(redis.call('HGET', KEYS[1], ARGV[2]) or '0')
if count > 0 then redis.call('HINCRBY', KEYS[1], ARGV[2], -math.min(count, tonumber(ARGV[1]))) end
return 1`,
)

/**
 * One moment: when everything that was admitted would be over, evenly spaced. A clock that is set back admits later, never more.
 *
 * KEYS the value · ARGV limit · window in µs · cost · burst
 */
export const gcraScript = defineScript(
  'limit-gcra',
  `local key, limit, window, cost, burst = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local spacing = window / limit
local room = burst * spacing
local begin = math.max(tonumber(redis.call('GET', key) or '0'), now)
local over = begin + cost * spacing
local left = function(at) return math.max(0, math.floor((room - (at - now)) / spacing + 0.001)) end
if over - room - now > 0.5 then
  return { 0, left(begin), math.ceil(over - room - now), math.ceil(begin - now), '' }
end
redis.call('SET', key, string.format('%.3f', over), 'PX', math.ceil((over - now) / 1000) + 1000)
return { 1, left(over), 0, math.ceil(over - now), '' }`,
)

/** KEYS the value · ARGV limit · window in µs · cost */
export const gcraBackScript = defineScript(
  'limit-gcra-back',
  `local over = tonumber(redis.call('GET', KEYS[1]) or '0')
if over > 0 then
  redis.call('SET', KEYS[1], string.format('%.3f', over - tonumber(ARGV[3]) * tonumber(ARGV[2]) / tonumber(ARGV[1])), 'KEEPTTL')
end
return 1`,
)
