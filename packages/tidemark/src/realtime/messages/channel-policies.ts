import { randomUUID } from 'node:crypto'
import type { Caller } from '../../auth/caller.js'
import { TidemarkError } from '../../errors.js'
import type { BatchStatement, Pool } from '../../postgres/postgres.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import type { ChannelPolicies, ChannelRequest, ChannelRights } from './messages.js'

export interface ChannelPoliciesOptions {
  /** Logs in as the role that may become those of callers. */
  readonly pool: Pick<Pool, 'batch'>
  /** As `search_path` has it: where functions of policies look for names without a schema. Default `public`. */
  readonly searchPath?: string | undefined
  /** How long the policies may take. Default 3,000. */
  readonly timeoutMs?: number | undefined
}

/** No such table, schema, function or role, or a function that this login may not call. */
const absent: ReadonlySet<string> = new Set(['42P01', '3F000', '42883'])

/** What of a channel's rows the caller may do something with. Everything is set for this transaction alone. */
export const callerSettings = (topic: string, { role, claims }: Caller, { headers = {} }: ChannelRequest = {}) =>
  [
    ['role', role],
    ['realtime.topic', topic],
    ['request.jwt.claims', JSON.stringify({ ...claims, role })],
    ['request.method', 'GET'],
    ['request.path', ''],
    ['request.headers', JSON.stringify(headers)],
    ['request.cookies', '{}'],
  ] as const

const setting = (entries: readonly (readonly [string, string])[]): BatchStatement => ({
  text: `select ${entries.map((_entry, index) => `set_config($${index * 2 + 1}, $${index * 2 + 2}, true)`).join(', ')}`,
  values: entries.flat(),
  name: `tidemark set ${entries.length}`,
})

/** In the order in which they are told: broadcast read, write, presence read, write. A right that is missing raises 42501. */
const rightsBlock = `do $rights$
declare
  kind text;
  allowed boolean;
  rights text := '';
begin
  foreach kind in array array['broadcast', 'presence'] loop
    begin
      select exists (select from realtime.messages where id = current_setting('tidemark.probe_' || kind)::uuid
                        and inserted_at = (now() at time zone 'utc')) into allowed;
    exception when insufficient_privilege then
      allowed := false;
    end;
    rights := rights || allowed::int;
    begin
      insert into realtime.messages (topic, extension, private) values (current_setting('realtime.topic'), kind, true);
      allowed := true;
    exception when insufficient_privilege then
      allowed := false;
    end;
    rights := rights || allowed::int;
  end loop;
  perform set_config('tidemark.rights', rights, true);
end $rights$`

/** What says nothing about the policies: Postgres is away, starts, stops, or has no room. */
const isAway = (sqlstate: string): boolean => /^(08|53|57P)/.test(sqlstate)

/** What a failure under a caller's role means. */
export const channelErrorOf = (error: unknown): unknown => {
  const sqlstate = sqlstateOf(error)
  if (sqlstate === undefined || isAway(sqlstate)) return error
  if (absent.has(sqlstate)) return new TidemarkError('TM_REALTIME_NO_CHANNELS', {}, { cause: error })
  return new TidemarkError('TM_REALTIME_CHANNEL_POLICY', { sqlstate }, { cause: error })
}

/**
 * Tries it: rows that nobody keeps are written for the topic, read as the caller, and written as the caller. Postgres itself decides, by
 * whatever policies, grants and triggers there are.
 */
export const createChannelPolicies = ({
  pool,
  searchPath = 'public',
  timeoutMs = 3_000,
}: ChannelPoliciesOptions): ChannelPolicies => ({
  check: async (topic, caller, request): Promise<ChannelRights> => {
    const [broadcast, presence] = [randomUUID(), randomUUID()]
    const statements: readonly BatchStatement[] = [
      { text: 'select tidemark.probe_channel($1, $2, $3)', values: [topic, broadcast, presence], name: 'tidemark probe channel' },
      setting([
        ['tidemark.probe_broadcast', broadcast],
        ['tidemark.probe_presence', presence],
        ...callerSettings(topic, caller, request),
      ]),
      { text: rightsBlock, values: [], name: 'tidemark try channel' },
      { text: `select current_setting('tidemark.rights')`, values: [], name: 'tidemark channel rights' },
    ]
    const settings = [
      ['search_path', searchPath],
      ['statement_timeout', String(timeoutMs)],
    ] as const
    try {
      const results = await pool.batch(statements, { end: 'rollback', settings })
      const [readsBroadcast, writesBroadcast, readsPresence, writesPresence] = [...(results[3]?.rows[0]?.[0] ?? '')].map(
        (bit) => bit === '1',
      )
      return {
        broadcast: { read: readsBroadcast === true, write: writesBroadcast === true },
        presence: { read: readsPresence === true, write: writesPresence === true },
      }
    } catch (error) {
      throw channelErrorOf(error)
    }
  },
})
