import type { Pool } from '../../postgres/postgres.js'
import { callerSettings, channelErrorOf } from './channel-policies.js'
import type { DatabaseMessage, MessageReplay } from './messages.js'

export interface MessageReplayOptions {
  /** Logs in as the role that may become those of callers. */
  readonly pool: Pick<Pool, 'batch'>
  /** As `search_path` has it: where functions of policies look for names without a schema. Default `public`. */
  readonly searchPath?: string | undefined
  /** How long it may take. Default 3,000. */
  readonly timeoutMs?: number | undefined
}

const mostMessages = 25

/** By the index that Supabase's table has as well. Messages of one moment stay in one order, whichever that is. */
const replaySql = `
  select id, event, payload::text, encode(binary_payload, 'base64')
    from realtime.messages
   where topic = $1 and extension = 'broadcast' and private is true and event is not null and inserted_at >= $2::timestamptz at time zone 'utc'
   order by inserted_at desc, id desc limit $3`

export const createMessageReplay = ({ pool, searchPath = 'public', timeoutMs = 3_000 }: MessageReplayOptions): MessageReplay => ({
  replay: async (topic, caller, { since, limit = mostMessages }, request) => {
    const most = Math.max(1, Math.min(mostMessages, Math.trunc(limit) || 1))
    const settings = [
      ['search_path', searchPath],
      ['statement_timeout', String(timeoutMs)],
      ...callerSettings(topic, caller, request),
    ] as const
    const statement = { text: replaySql, values: [topic, since.toISOString(), String(most)], name: 'tidemark replay' }
    try {
      const [result] = await pool.batch([statement], { readOnly: true, settings })
      return (result?.rows ?? [])
        .map(
          ([id, event, json, binary]): DatabaseMessage => ({
            id: id ?? '',
            topic,
            event: event ?? '',
            private: true,
            payload:
              binary == null ? { kind: 'json', text: json ?? 'null' } : { kind: 'binary', bytes: Buffer.from(binary, 'base64') },
          }),
        )
        .reverse()
    } catch (error) {
      throw channelErrorOf(error)
    }
  },
})
