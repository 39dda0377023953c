import { defineScript } from '../../redis/lua-script.js'
import type { Redis, RedisArgument } from '../../redis/redis.js'
import { commonFields, type EntryParts, queuedParts, wholeParts } from '../entry.js'
import { type AcceptedEvent, errorsStream, normaliserVersion, type PartitionKeys } from '../webhooks.js'

/**
 * Remembers the ids of a group and appends its events, as one step: an id that is remembered has an entry. Redis takes back nothing
 * of a script that fails half-way, so an id whose entry was refused is forgotten again.
 * An event of which there is a row is appended whatever is remembered: its row was made once.
 * Nothing is done where the stream is in another life than the caller knows.
 */
const appendScript = defineScript(
  'webhooks.append',
  `if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {} end
local px, first = ARGV[2], ARGV[3] == '1'
local out, at = {}, 4
for i = 3, #KEYS do
  local extra, id = tonumber(ARGV[at]), ARGV[at + ${1 + commonFields.indexOf('id')}]
  local fresh = true
  if first then
    fresh = redis.call('SET', KEYS[i], id, 'PX', px, 'NX')
  else
    redis.call('SET', KEYS[i], id, 'PX', px)
  end
  if fresh then
    local added = redis.pcall('XADD', KEYS[1], '*', ${commonFields.map((name, n) => `'${name}', ARGV[at + ${1 + n}]`).join(', ')},
      unpack(ARGV, at + ${1 + commonFields.length}, at + ${commonFields.length} + extra))
    if type(added) == 'table' and added.err then
      redis.call('DEL', KEYS[i])
      return redis.error_reply(added.err)
    end
    out[i - 2] = added
  else
    out[i - 2] = ''
  end
  at = at + ${1 + commonFields.length} + extra
end
return out`,
)

/** Ids of entries by the ids of their events. An event that was there already has none. */
export type Appended = ReadonlyMap<string, string>

interface Append {
  readonly redis: Redis
  readonly keys: PartitionKeys
  /** Of the stream, as it was known before the events were stored anywhere. */
  readonly life: string
  readonly dedupeTtlMs: number
}

const append = async (
  { redis, keys, life, dedupeTtlMs }: Append,
  events: readonly AcceptedEvent[],
  first: boolean,
  partsOf: (event: AcceptedEvent) => EntryParts,
): Promise<Appended | undefined> => {
  const names = [keys.stream, keys.life]
  const args: RedisArgument[] = [life, dedupeTtlMs, first ? '1' : '0']
  for (const event of events) {
    names.push(`${keys.dedupePrefix}${event.provider}|${event.tenant}|${event.dedupeKey}`)
    const { common, extra } = partsOf(event)
    args.push(extra.length, ...common, ...extra)
  }
  const ids = await redis.script<readonly string[]>(appendScript, names, args)
  if (ids.length === 0) return undefined
  const appended = new Map<string, string>()
  for (let at = 0; at < events.length; at++) if (ids[at] !== '') appended.set(events[at]!.id, ids[at]!)
  return appended
}

/**
 * Appends events of one partition that are nowhere else. Undefined where the stream is in another life: none was. Raises TM_REDIS_*: then
 * all, some or none of them were.
 */
export const appendWhole = (to: Append, events: readonly AcceptedEvent[]): Promise<Appended | undefined> =>
  append(to, events, true, (event) => wholeParts(event, normaliserVersion))

/** Appends events of one partition that have a row, in the order of their rows. As {@link appendWhole}. */
export const appendQueued = (
  to: Append,
  events: readonly AcceptedEvent[],
  seqOf: (event: AcceptedEvent) => string,
): Promise<Appended | undefined> => append(to, events, false, (event) => queuedParts(event, seqOf(event)))

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
