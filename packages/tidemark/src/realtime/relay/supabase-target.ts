import { TidemarkError } from '../../errors.js'
import { sendTo } from './http-target.js'
import type { RelayMessage, RelayTarget } from './relay.js'

export interface SupabaseTargetOptions {
  /** Of the project, or of a server of Tidemark: what a client is given. */
  readonly url: string
  /** The service role's, or one that may send on these channels. */
  readonly key: string
  /** Whether clients have to be admitted to a channel by the policies of `realtime.messages`. Default true. */
  readonly private?: boolean
  /** Default 250 KB, the least that Supabase allows a message. */
  readonly maxDataBytes?: number
  /** In one request. Default 50. */
  readonly maxBatch?: number
  /** Default 5 s. */
  readonly timeoutMs?: number
}

const refusal = ({ channel, event }: RelayMessage): string | undefined => {
  if (channel === '') return 'its channel has no name'
  return event === '' ? 'it has no name' : undefined
}

/** Supabase Broadcast over HTTP. Raises TM_REALTIME_RELAY_TARGET. */
export const createSupabaseTarget = (options: SupabaseTargetOptions): RelayTarget => {
  const { key, private: isPrivate = true, maxDataBytes = 250_000, maxBatch = 50, timeoutMs = 5_000 } = options
  if (!URL.canParse(options.url) || !/^https?:/.test(options.url))
    throw new TidemarkError('TM_REALTIME_RELAY_TARGET', { target: 'Supabase', reason: 'its address is no URL' })
  if (key === '') throw new TidemarkError('TM_REALTIME_RELAY_TARGET', { target: 'Supabase', reason: 'its key is empty' })
  const url = `${options.url.replace(/\/+$/, '')}/realtime/v1/api/broadcast`
  const name = `Supabase at ${new URL(options.url).host}`
  // A key of the newer form is no token.
  const authorization = key.startsWith('sb_') ? {} : { authorization: `Bearer ${key}` }
  return {
    name,
    maxBatch,
    maxDataBytes,
    refuses: refusal,
    send: async (messages, signal) => {
      const body = JSON.stringify({
        messages: messages.map(({ channel, event, data, id }) => ({
          topic: channel,
          event,
          payload: { ...data, event_id: id },
          private: isPrivate,
        })),
      })
      await sendTo(name, url, { body, headers: { apikey: key, ...authorization }, timeoutMs, signal })
    },
  }
}
