import { defineScript } from '../../../redis/lua-script.js'

/**
 * KEYS: stream, begun. ARGV: group, whether to delete, then event and id in the stream (or nothing) of each. What is acknowledged is gone,
 * unless another group still has to see it.
 */
export const settleScript = defineScript(
  'hooks-settle',
  `
  local events, entries = {}, {}
  for at = 3, #ARGV, 2 do
    events[#events + 1] = ARGV[at]
    if ARGV[at + 1] ~= '' then entries[#entries + 1] = ARGV[at + 1] end
  end
  if #entries > 0 then
    redis.call('XACK', KEYS[1], ARGV[1], unpack(entries))
    if ARGV[2] == '1' then redis.call('XDEL', KEYS[1], unpack(entries)) end
  end
  redis.call('SREM', KEYS[2], unpack(events))
  return #events
`,
)

/** KEYS: stream, retry, begun. ARGV: group, whether to delete, then due time, event and id in the stream (or nothing) of each. */
export const putOffScript = defineScript(
  'hooks-put-off',
  `
  for at = 3, #ARGV, 3 do
    redis.call('ZADD', KEYS[2], ARGV[at], ARGV[at + 1])
    redis.call('SREM', KEYS[3], ARGV[at + 1])
    if ARGV[at + 2] ~= '' then
      redis.call('XACK', KEYS[1], ARGV[1], ARGV[at + 2])
      if ARGV[2] == '1' then redis.call('XDEL', KEYS[1], ARGV[at + 2]) end
    end
  end
  return 1
`,
)

/**
 * KEYS: stream, retry, begun. ARGV: group, whether to delete, then event and id in the stream (or nothing) of each. Nothing of a dead letter is
 * left there. The stream of dead letters is no key of this: in a cluster it lies in another slot.
 */
export const buryScript = defineScript(
  'hooks-bury',
  `
  for at = 3, #ARGV, 2 do
    redis.call('ZREM', KEYS[2], ARGV[at])
    redis.call('SREM', KEYS[3], ARGV[at])
    if ARGV[at + 1] ~= '' then
      redis.call('XACK', KEYS[1], ARGV[1], ARGV[at + 1])
      if ARGV[2] == '1' then redis.call('XDEL', KEYS[1], ARGV[at + 1]) end
    end
  end
  return 1
`,
)

/** KEYS: lease. ARGV: name, milliseconds. SET NX PX, also for who has it already. */
export const leaseScript = defineScript(
  'hooks-lease',
  `
  local owner = redis.call('GET', KEYS[1])
  if owner and owner ~= ARGV[1] then return 0 end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
`,
)

/** KEYS: lease. ARGV: name, milliseconds. Only for who has it. */
export const renewScript = defineScript(
  'hooks-renew',
  `
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`,
)

/** KEYS: lease. ARGV: name. */
export const releaseScript = defineScript(
  'hooks-release',
  `
  if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
  return redis.call('DEL', KEYS[1])
`,
)

/**
 * KEYS: stream. ARGV: group, own name, milliseconds of silence. Takes consumers away that hold nothing and were not heard of for so long;
 * with the silence 0 only the own one. Looked at and done in one step, since a name that is removed takes its entries along.
 */
export const forgetConsumersScript = defineScript(
  'hooks-forget-consumers',
  `
  local gone = 0
  for _, info in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local of = {}
    for at = 1, #info, 2 do of[info[at]] = info[at + 1] end
    local silence = tonumber(ARGV[3])
    local isMeant = (silence == 0 and of.name == ARGV[2]) or (silence > 0 and of.name ~= ARGV[2] and of.idle > silence)
    if isMeant and of.pending == 0 then
      redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], of.name)
      gone = gone + 1
    end
  end
  return gone
`,
)
