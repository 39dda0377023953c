import { defineScript } from '../../redis/lua-script.js'
import { epochAndIdRange } from './frame.js'

/*
 * The fence of a key is a sorted set of transaction ids, as decimal text; their scores order them roughly, and nothing more: an id has 64
 * bits, and Lua's numbers have 53. Besides ids there are two bounds, which stand for all ids up to theirs:
 *
 *   "123"   this id has to be seen
 *   "<123"  everything up to here has to be over (below xmin): where more changes stand than are kept one by one
 *   "s123"  the same for a standby. A snapshot of the primary has seen them, hence each later one there sees them too.
 */

/** Which ids a snapshot sees. Decimal text without leading zeros, compared by length, then by bytes: `<` goes by the server's locale. */
export const visibilityLua = `
local function older(a, b)
  if #a ~= #b then return #a < #b end
  for i = 1, #a do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return false
end
local function id_of(fence)
  return string.match(fence, '%d+')
end
local function sees(fence, xmin, xmax, running, standby)
  local id, kind = id_of(fence), string.sub(fence, 1, 1)
  if older(id, xmin) then return true end
  if kind == 's' then return not standby end
  if kind == '<' or standby then return false end
  return older(id, xmax) and not string.find(running, ',' .. id .. ',', 1, true)
end`

const fullLua = `
local function is_full(reply)
  return type(reply) == 'table' and reply.err and string.find(reply.err, 'OOM', 1, true)
end`

/** Puts one bound in the place of many. */
const boundLua = `
local function highest(fences)
  local top = '0'
  for _, fence in ipairs(fences) do
    local id = id_of(fence)
    if older(top, id) then top = id end
  end
  return top
end`

/**
 * Who may load which key. KEYS value, lease and fence of each · ARGV how long a lease holds, then of each: epoch, the id of a value that is
 * not to be found (`*`: none is), token · gives of each 'found' and a value, 'taken', 'full', 'failed' and why, or 'granted' and the ids
 * that a load has to have seen.
 */
export const leaseScript = defineScript(
  'cache.lease',
  `${fullLua}
local function lease_of(value, lease, fence, epoch, past, token)
  if past ~= '*' then
    local head = redis.pcall('GETRANGE', value, ${epochAndIdRange.from}, ${epochAndIdRange.to})
    if type(head) == 'string' and string.sub(head, 1, #epoch) == epoch and string.sub(head, #epoch + 1) ~= past then
      return {'found', redis.call('GET', value)}
    end
  end
  local fences = redis.pcall('ZRANGE', fence, 0, -1)
  if fences.err then return {'failed', fences.err} end
  local set = redis.pcall('SET', lease, token, 'NX', 'PX', ARGV[1])
  if is_full(set) then return {'full'} end
  if type(set) == 'table' and set.err then return {'failed', set.err} end
  if not set then return {'taken'} end
  local answer = {'granted'}
  for _, id in ipairs(fences) do answer[#answer + 1] = string.match(id, '%d+') end
  return answer
end
local answers = {}
for i = 1, #KEYS, 3 do
  answers[#answers + 1] = lease_of(KEYS[i], KEYS[i + 1], KEYS[i + 2], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
end
return answers`,
)

/**
 * Stores values, each where its load held the lease all the time and saw every change that is fenced. For each, SET is the first to write:
 * without room Redis refuses it. KEYS value, lease and fence of each · ARGV how long fences stand, then of each: token, frame, how long it is
 * kept, and the snapshot ('' for none): xmin, xmax, 'primary' or 'standby', and the running ids between commas · gives a word of each.
 */
export const fillScript = defineScript(
  'cache.fill',
  `${fullLua}
${visibilityLua}
${boundLua}
local function fill(value, lease, fence, token, frame, kept_for, snapshot)
  if redis.pcall('GET', lease) ~= token then return 'refused' end
  local fences = redis.pcall('ZRANGE', fence, 0, -1)
  if fences.err then return fences.err end
  local xmin, xmax, whose, running
  if #fences > 0 then xmin, xmax, whose, running = string.match(snapshot, '^(%d+) (%d+) (%a+) (.*)$') end
  for _, id in ipairs(fences) do
    if not whose or not sees(id, xmin, xmax, running, whose == 'standby') then
      redis.call('DEL', lease)
      return 'refused'
    end
  end
  local set = redis.pcall('SET', value, frame, 'PX', kept_for)
  redis.call('DEL', lease)
  if is_full(set) then return 'full' end
  if set.err then return set.err end
  if whose == 'primary' and #fences > 0 and not (#fences == 1 and string.sub(fences[1], 1, 1) == 's') then
    redis.call('DEL', fence)
    redis.call('ZADD', fence, '-inf', 's' .. highest(fences))
    redis.call('PEXPIRE', fence, ARGV[1])
  end
  return 'stored'
end
local words = {}
for i = 0, #KEYS / 3 - 1 do
  words[i + 1] = fill(KEYS[3 * i + 1], KEYS[3 * i + 2], KEYS[3 * i + 3], unpack(ARGV, 4 * i + 2, 4 * i + 5))
end
return words`,
)

/** Gives a lease back. ARGV token. */
export const releaseScript = defineScript(
  'cache.release',
  `
if redis.pcall('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`,
)

/**
 * Takes values and leases away, then leaves fences. DEL comes first for another reason too: after a first write Redis goes on where it has no
 * room. KEYS value, lease and fence of each · ARGV how long fences stand, how many one by one, then an id or '' for each.
 */
export const purgeScript = defineScript(
  'cache.purge',
  `${visibilityLua}
${boundLua}
for i = 1, #KEYS, 3 do
  redis.call('DEL', KEYS[i], KEYS[i + 1])
  local id, fence = ARGV[2 + (i + 2) / 3], KEYS[i + 2]
  if id ~= '' then
    local added = redis.pcall('ZADD', fence, id, id)
    if type(added) == 'table' then
      redis.call('DEL', fence)
      redis.call('ZADD', fence, id, id)
    end
    if redis.call('ZCARD', fence) > tonumber(ARGV[2]) then
      local lowest = redis.call('ZRANGE', fence, 0, math.floor(ARGV[2] / 2))
      redis.call('ZREM', fence, unpack(lowest))
      redis.call('ZADD', fence, '-inf', '<' .. highest(lowest))
    end
    redis.call('PEXPIRE', fence, ARGV[1])
  end
end
return #KEYS / 3`,
)
