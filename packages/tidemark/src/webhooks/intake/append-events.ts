import { defineScript } from '../../redis/lua-script.js'
import type { Redis, RedisArgument } from '../../redis/redis.js'
import { type EntryArguments, encodeQueued, encodeWhole } from '../entry.js'
import { type AcceptedEvent, errorsStream, normaliserVersion, type PartitionKeys } from '../webhooks.js'

/**
 * Remembers the ids of a group and appends its events, as one step: an id that is remembered has an entry. Redis takes back nothing
 * of a script that fails half-way, so an id whose entry was refused is forgotten again.
 * An event of which there is a row is appended whatever is remembered: its row was made once.
 */
const appendScript = defineScript(
  'webhooks.append',
  `local px, first = ARGV[1], ARGV[2] == '1'
local out, at = {}, 3
for i = 2, #KEYS do
  local id, n = ARGV[at], tonumber(ARGV[at + 1])
  local fresh = true
  if first then
    fresh = redis.call('SET', KEYS[i], id, 'PX', px, 'NX')
  else
    redis.call('SET', KEYS[i], id, 'PX', px)
  end
  if fresh then
    local added = redis.pcall('XADD', KEYS[1], '*', unpack(ARGV, at + 2, at + 1 + n))
    if type(added) == 'table' and added.err then
      redis.call('DEL', KEYS[i])
      return redis.error_reply(added.err)
    end
    out[i - 1] = added
  else
    out[i - 1] = ''
  end
  at = at + 2 + n
end
return out`,
)

/** Ids of entries by the ids of their events. An event that was there already has none. */
export type Appended = ReadonlyMap<string, string>

interface Append {
  readonly redis: Redis
  readonly keys: PartitionKeys
  readonly dedupeTtlMs: number
}

const append = async (
  { redis, keys, dedupeTtlMs }: Append,
  events: readonly AcceptedEvent[],
  first: boolean,
  encode: (event: AcceptedEvent) => EntryArguments,
): Promise<Appended> => {
  const names = events.map(({ provider, tenant, dedupeKey }) => `${keys.dedupePrefix}${provider}|${tenant}|${dedupeKey}`)
  const args: RedisArgument[] = [dedupeTtlMs, first ? '1' : '0']
  for (const event of events) {
    const fields = encode(event)
    args.push(event.id, fields.length, ...fields)
  }
  const ids = await redis.script<readonly string[]>(appendScript, [keys.stream, ...names], args)
  return new Map(ids.flatMap((id, at) => (id === '' ? [] : [[events[at]!.id, id] as const])))
}

/** Appends events of one partition that are nowhere else. Raises TM_REDIS_*: then all, some or none of them were appended. */
export const appendWhole = (to: Append, events: readonly AcceptedEvent[]): Promise<Appended> =>
  append(to, events, true, (event) => encodeWhole(event, normaliserVersion))

/** Appends events of one partition that have a row, in the order of their rows. */
export const appendQueued = (
  to: Append,
  events: readonly AcceptedEvent[],
  seqOf: (event: AcceptedEvent) => string,
): Promise<Appended> => append(to, events, false, (event) => encodeQueued(event, seqOf(event)))

/** Tells those who watch Redis of a dead letter. The truth is its row. */
export const tellOfDeadLetter = async (redis: Redis, event: AcceptedEvent): Promise<void> => {
  const { id, provider, type, receivedAtMs, unparseable = '' } = event
  await redis.command([
    'XADD',
    errorsStream,
    '*',
    'provider',
    provider,
    'event_type',
    type,
    'payload',
    'null',
    'received_at',
    new Date(receivedAtMs).toISOString(),
    'id',
    id,
    'reason',
    'unparseable',
    'error',
    unparseable,
  ])
}
