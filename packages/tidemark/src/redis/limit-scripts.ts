import { defineScript } from './lua-script.js'

/** What each check brings besides its key: limit · window in µs · cost · one more that its algorithm wants. */
const argumentsPerCheck = 4

/** What a check is answered: 1 or 0 · remaining · retry after · reset after · receipt; times in microseconds of Redis' own clock. */
export const repliesPerCheck = 5

/** In the place of 1 or 0: this key cannot be counted, such as one that holds something else. The others of the call were. */
export const uncountable = -1

/**
 * A script that does several checks, each for itself and in their order: what a call costs besides is paid once. `take` is the body of
 * a function of key, limit, window, cost and extra, and finds the time of Redis as `clock`. What it calls often has a local name.
 */
const checks = (name: string, take: string) =>
  defineScript(
    name,
    `local call, tonumber, floor, ceil, max, format = redis.call, tonumber, math.floor, math.ceil, math.max, string.format
local time = call('TIME')
local clock = tonumber(time[1]) * 1000000 + tonumber(time[2])
local micros = function(score) return floor(tonumber(score) * 1000000 + 0.5) end
local take = function(key, limit, window, cost, extra)
${take}
end
local replies = {}
for i = 1, #KEYS do
  local at, to = (i - 1) * ${argumentsPerCheck}, (i - 1) * ${repliesPerCheck}
  local good, allowed, remaining, retry, reset, receipt =
    pcall(take, KEYS[i], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), ARGV[at + 4])
  if good then
    replies[to + 1], replies[to + 2], replies[to + 3], replies[to + 4], replies[to + 5] = allowed, remaining, retry, reset, receipt
  else
    replies[to + 1], replies[to + 2], replies[to + 3], replies[to + 4], replies[to + 5] = ${uncountable}, 0, 0, 0, 0
  end
end
return replies`,
  )

/**
 * The exact log: a sorted set with the moment of every call as seconds since 1970, as documented. Time is never before the last call's, so that
 * a clock that is set back, or a replica's, admits nothing twice. A key lives for a window and a half from the first call of each half of a
 * window, so for a window at least from every other.
 *
 * KEYS the sets · extra: a token that no other call has
 */
export const logScript = checks(
  'limit-log',
  `local now = clock
local last = call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
local newest = last[2] and micros(last[2]) or 0
if newest > now then now = newest end
local count = 0
if newest > 0 then
  call('ZREMRANGEBYSCORE', key, '-inf', format('%.6f', (now - window) / 1000000))
  count = call('ZCARD', key)
end
local over = count + cost - limit
if over > 0 then
  local leaving = call('ZRANGE', key, over - 1, over - 1, 'WITHSCORES')
  return 0, limit - count, micros(leaving[2]) + window - now, newest + window - now, 0
end
local score = format('%.6f', now / 1000000)
for n = 1, cost do call('ZADD', key, score, extra .. ':' .. n) end
local half = window / 2
if now > clock or count == 0 or floor(now / half) ~= floor(newest / half) then
  call('PEXPIRE', key, ceil((window + half) / 1000) + 1000)
end
return 1, limit - count - cost, 0, window, 0`,
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
 * KEYS the hashes · extra: buckets · receipt: the bucket
 */
export const ringScript = checks(
  'limit-ring',
  `local buckets = tonumber(extra)
local width = window / buckets
local newest = floor(clock / width)
local flat = call('HGETALL', key)
for i = 1, #flat, 2 do newest = max(newest, tonumber(flat[i])) end
local now = max(clock, newest * width)
local counts, sum, last = {}, 0, nil
for i = 1, #flat, 2 do
  local bucket, count = tonumber(flat[i]), tonumber(flat[i + 1])
  if bucket < newest - buckets or count <= 0 then call('HDEL', key, flat[i])
  else
    counts[bucket] = count
    sum = sum + count
    if not last or bucket > last then last = bucket end
  end
end
local leaves = function(bucket) return ceil((bucket + buckets + 1) * width - now) end
local over = sum + cost - limit
if over > 0 then
  local left, wait = 0, 0
  for bucket = newest - buckets, newest do
    left = left + (counts[bucket] or 0)
    if left >= over then wait = leaves(bucket); break end
  end
  return 0, limit - sum, wait, leaves(last or newest), 0
end
call('HINCRBY', key, format('%.0f', newest), cost)
call('PEXPIRE', key, ceil((window + width) / 1000) + 1000)
return 1, limit - sum - cost, 0, leaves(newest), newest`,
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
 * KEYS the values · extra: burst
 */
export const gcraScript = checks(
  'limit-gcra',
  `local now = clock
local spacing = window / limit
local room = tonumber(extra) * spacing
local begin = max(tonumber(call('GET', key) or '0'), now)
local over = begin + cost * spacing
local left = function(at) return max(0, floor((room - (at - now)) / spacing + 0.001)) end
if over - room - now > 0.5 then
  return 0, left(begin), ceil(over - room - now), ceil(begin - now), 0
end
call('SET', key, format('%.3f', over), 'PX', ceil((over - now) / 1000) + 1000)
return 1, left(over), 0, ceil(over - now), 0`,
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
