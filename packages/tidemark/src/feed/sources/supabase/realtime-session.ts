import { reasonOf } from '../../../errors.js'
import { within } from '../../../postgres/pool/within.js'
import type { Clock } from '../../../time/clock.js'
import type { TableId } from '../../table-id.js'
import { jsonElements, jsonMembers } from './json-members.js'
import type { ClientParts, RealtimeChannel } from './load-client.js'

export interface SessionOptions {
  readonly url: string
  readonly key: string
  readonly tables: readonly TableId[]
  readonly accessToken: (() => Promise<string | null>) | undefined
  readonly heartbeatMs: number
  readonly timeoutMs: number
  readonly vsn: '1.0.0' | '2.0.0' | undefined
  readonly clock: Clock
}

export interface SessionEvents {
  /** Changes come from here on, and what happened before may be lost. Called again when the server says that it listens only now. */
  readonly subscribed: () => void
  /** `data` of a frame, as it was written. */
  readonly changed: (data: string) => void
}

/** Frames are objects in version 1 of the protocol, arrays in version 2. */
const payloadText = (frame: string): string | undefined =>
  frame.trimStart().startsWith('[') ? jsonElements(frame)[4] : jsonMembers(frame).get('payload')

const toMessage = (frame: string): unknown => {
  const read = JSON.parse(frame) as unknown
  if (!Array.isArray(read)) return read
  const [join_ref, ref, topic, event, payload] = read
  return { join_ref, ref, topic, event, payload }
}

const isOk = (payload: unknown): boolean => (payload as { readonly status?: unknown } | null)?.status === 'ok'

/** A `system` message about changes of the database; what else is told there is not ours. */
const isAboutChanges = (payload: unknown): boolean =>
  (payload as { readonly extension?: unknown } | null)?.extension === 'postgres_changes'

/**
 * One connection with one subscription. Resolves with the reason when it is over, whether it could be made or not; the client's own attempts to
 * come back are cut short, since each is a gap that has to be told.
 */
export const runSession = async (
  { createClient, transport }: ClientParts,
  { url, key, tables, accessToken, heartbeatMs, timeoutMs, vsn, clock }: SessionOptions,
  events: SessionEvents,
  signal: AbortSignal,
): Promise<string> => {
  let frame: string | undefined
  // The client turns values into JavaScript's own and drops what types they had: frames are read here as well.
  const decode = (raw: unknown, deliver: (message: unknown) => void): void => {
    // Binary frames are broadcasts, which nobody asked for.
    if (typeof raw !== 'string') return
    frame = raw
    try {
      deliver(toMessage(raw))
    } finally {
      frame = undefined
    }
  }
  const client = createClient(url, key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    realtime: { transport, decode, heartbeatIntervalMs: heartbeatMs, timeout: timeoutMs, ...(vsn && { vsn }) },
    ...(accessToken && { accessToken }),
  })
  let over: () => void = () => undefined
  try {
    return await new Promise<string>((resolve) => {
      over = () => resolve('it was ended')
      signal.addEventListener('abort', over, { once: true })
      if (signal.aborted) over()
      let channel: RealtimeChannel = client.channel('tidemark-feed')
      for (const { schema, table } of tables) {
        channel = channel.on('postgres_changes', { event: '*', schema, table }, () => {
          const data = frame === undefined ? undefined : jsonMembers(payloadText(frame) ?? '{}').get('data')
          // A frame is one change, whatever number of bindings it fits.
          frame = undefined
          if (data !== undefined) events.changed(data)
        })
      }
      channel.on('system', {}, (payload) => {
        if (!isAboutChanges(payload)) return
        if (isOk(payload)) events.subscribed()
        else resolve(String((payload as { readonly message?: unknown }).message ?? 'the server refused the subscription'))
      })
      channel.subscribe((status, error) => {
        if (status === 'SUBSCRIBED') events.subscribed()
        else resolve(error ? `${status}: ${reasonOf(error)}` : status)
      }, timeoutMs)
    })
  } catch (error) {
    return reasonOf(error)
  } finally {
    // The signal is that of all sessions, and would keep each with its client.
    signal.removeEventListener('abort', over)
    await within(clock, 1_000, client.removeAllChannels())
    await client.realtime.disconnect()
  }
}
