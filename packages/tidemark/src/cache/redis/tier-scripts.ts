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
 * Who may load a key. ARGV epoch, the id of a value that is not to be found (`*`: none is), token, how long it holds ·
 * gives 'found' and a value, 'taken', 'full', or 'granted' and the ids that a load has to have seen.
 */
export const leaseScript = defineScript(
  'cache.lease',
  `${fullLua}
if ARGV[2] ~= '*' then
  local head = redis.pcall('GETRANGE', KEYS[1], ${epochAndIdRange.from}, ${epochAndIdRange.to})
  if type(head) == 'string' and string.sub(head, 1, #ARGV[1]) == ARGV[1] and string.sub(head, #ARGV[1] + 1) ~= ARGV[2] then
    return {'found', redis.call('GET', KEYS[1])}
  end
end
local set = redis.pcall('SET', KEYS[2], ARGV[3], 'NX', 'PX', ARGV[4])
if is_full(set) then return {'full'} end
if type(set) == 'table' and set.err then return set end
if not set then return {'taken'} end
local answer = {'granted'}
for _, fence in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do answer[#answer + 1] = string.match(fence, '%d+') end
return answer`,
)

/**
 * Stores a value, where its load held the lease all the time and saw every change that is fenced. SET is the first to write: without room
 * Redis refuses that one, and nothing after it. ARGV token, frame, how long it is kept, how long fences are, xmin, xmax, the running ids
 * between commas, and 'primary', 'standby' or '' for no snapshot.
 */
export const fillScript = defineScript(
  'cache.fill',
  `${fullLua}
${visibilityLua}
${boundLua}
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 'refused' end
local fences = redis.call('ZRANGE', KEYS[3], 0, -1)
for _, fence in ipairs(fences) do
  if ARGV[8] == '' or not sees(fence, ARGV[5], ARGV[6], ARGV[7], ARGV[8] == 'standby') then
    redis.call('DEL', KEYS[2])
    return 'refused'
  end
end
local set = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
if is_full(set) then return 'full' end
if set.err then return set end
if ARGV[8] == 'primary' and #fences > 0 and not (#fences == 1 and string.sub(fences[1], 1, 1) == 's') then
  redis.call('DEL', KEYS[3])
  redis.call('ZADD', KEYS[3], '-inf', 's' .. highest(fences))
  redis.call('PEXPIRE', KEYS[3], ARGV[4])
end
return 'stored'`,
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
