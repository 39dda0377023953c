import { defineScript } from '../../../redis/lua-script.js'

/** Redis' own identity: another one means that what it held may be lost or old. Empty where it may not be asked. */
const runId = `
local function run_id()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
end`

/**
 * Makes the caller the present reader, under a term above all before it, and names its stream: the one that stands, where that is of the
 * same epoch, Redis is the same as it was then, and the reader before purged the same; else the given new one.
 * KEYS current · ARGV epoch, new stream, base, reason, force, ttl, what the reader purges, the masters of a cluster ('' of a single server, whose
 * run id it then is) · gives term, run, stream, base, 1 where it is new.
 */
export const claimScript = defineScript(
  'feed.claim',
  `${runId}
local run = ARGV[8] ~= '' and ARGV[8] or run_id()
local time = redis.call('TIME')
local held = redis.call('HMGET', KEYS[1], 'term', 'epoch', 'run', 'stream', 'base', 'purges')
local term = string.format('%.0f', math.max(time[1] * 1000000 + time[2], (tonumber(held[1] or '0') or 0) + 1))
local purges = held[6] or ''
local fresh = ARGV[5] == '1' or held[2] ~= ARGV[1] or held[3] ~= run or not held[4] or purges ~= ARGV[7]
local stream, base, reason = held[4], held[5], false
if fresh then
  stream, base, reason = ARGV[2], ARGV[3], ARGV[4]
  if reason == '' then
    reason = held[2] ~= ARGV[1] and 'start' or held[3] == run and purges ~= ARGV[7] and 'purgesChanged' or 'streamLost'
  end
end
redis.call('HSET', KEYS[1], 'term', term, 'epoch', ARGV[1], 'run', run, 'stream', stream, 'base', base, 'purges', ARGV[7])
if reason then redis.call('HSET', KEYS[1], 'reason', reason) end
redis.call('PEXPIRE', KEYS[1], ARGV[6])
return {term, run, stream, base, fresh and 1 or 0}`,
)

/**
 * Lets the caller append to its stream, and nobody of an earlier term.
 * KEYS stream, state, beats · ARGV term, ttl · gives 'ok' or 'fenced', the newest entry, the newest beat.
 */
export const openScript = defineScript(
  'feed.open',
  `
local term = redis.call('HGET', KEYS[2], 'term')
if term and tonumber(term) > tonumber(ARGV[1]) then return {'fenced'} end
local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local beat = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
redis.call('HSET', KEYS[2], 'term', ARGV[1], 'top', top[1] and top[1][1] or '0-0')
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {'ok', top, beat}`,
)

/** Of the caller's term and the stream's state: nothing where the caller may go on. */
const check = `
local function refused(term, top)
  local held = redis.call('HMGET', KEYS[2], 'term', 'top')
  if not held[1] then return {'lost', ''} end
  if held[1] ~= term then return {'fenced', ''} end
  if held[2] ~= top then return {'moved', held[2]} end
  if top ~= '0-0' and redis.call('EXISTS', KEYS[1]) == 0 then return {'lost', ''} end
end`

/**
 * Compare and append (S2): all entries, or none where the newest is not the expected one.
 * KEYS stream, state · ARGV term, expected top, then id and body of each entry.
 */
export const appendScript = defineScript(
  'feed.append',
  `${check}
local no = refused(ARGV[1], ARGV[2])
if no then return no end
local prev = ARGV[2]
for i = 3, #ARGV, 2 do
  redis.call('XADD', KEYS[1], ARGV[i], 'p', prev, 'b', ARGV[i + 1])
  prev = ARGV[i]
end
redis.call('HSET', KEYS[2], 'top', prev)
return {'ok', prev}`,
)

/**
 * Beats, where the stream is as the caller knows it. Everything of the stream lives on for another while.
 * KEYS stream, state, beats · ARGV term, expected top, id, how many beats are kept, ttl, then the beat's fields · gives 'ok' and the run id.
 */
export const beatScript = defineScript(
  'feed.beat',
  `${runId}
${check}
local no = refused(ARGV[1], ARGV[2])
if no then return no end
redis.call('XADD', KEYS[3], 'MAXLEN', '=', ARGV[4], ARGV[3], unpack(ARGV, 6))
for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[5]) end
return {'ok', run_id()}`,
)

/**
 * Keeps the caller's stream the present one, unless a later reader has named its own.
 * KEYS current · ARGV term, ttl.
 */
export const keepScript = defineScript(
  'feed.keep',
  `
local term = redis.call('HGET', KEYS[1], 'term')
if not term then return 'lost' end
if tonumber(term) ~= tonumber(ARGV[1]) then return 'fenced' end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 'ok'`,
)
