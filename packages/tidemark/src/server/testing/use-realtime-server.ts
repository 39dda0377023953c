import type { AddressInfo } from 'node:net'
import { createClient, type RealtimeClientOptions, type SupabaseClient } from '@supabase/supabase-js'
import { SignJWT } from 'jose'
import { WebSocket } from 'ws'
import { createFindCaller, digestOf } from '../../auth/find-caller.js'
import { createVerifier } from '../../auth/verifier.js'
import { resolveConfig, type TidemarkConfig } from '../../config/config.js'
import { silentLogger } from '../../observability/observability.js'
import type { Hub } from '../../realtime/hub/hub.js'
import { createMemoryChanges, type MemoryChanges } from '../../realtime/protocols/supabase/testing/memory-changes.js'
import { createMemoryMessages, type MemoryMessages } from '../../realtime/protocols/supabase/testing/memory-messages.js'
import { openTopics } from '../../realtime/topics/open-topics.js'
import type { Cleanups } from '../../testing/use-cleanups.js'
import { createHttp } from '../http/http.js'
import { createObservation, type Observation } from '../observation/observation.js'
import { openServerHub } from '../realtime/realtime-hub.js'
import { openServerSupabaseRealtime } from '../realtime/realtime-supabase.js'

const secret = 'a secret of at least thirty-two characters'
export const publishableKey = 'sb_publishable_abc'

export interface RealtimeServer {
  readonly url: string
  readonly port: number
  readonly hub: Hub
  readonly changes: MemoryChanges
  readonly messages: MemoryMessages
  readonly observation: Observation
  readonly anonKey: string
  token(claims: Readonly<Record<string, unknown>>, expiresIn?: string): Promise<string>
  client(options?: RealtimeClientOptions, key?: string): SupabaseClient
  /** As a program that speaks the protocol by itself. */
  raw(query?: string): Promise<RawClient>
}

export interface RawClient {
  readonly ws: WebSocket
  /** Everything that came in text, parsed. */
  readonly heard: unknown[]
  send(message: unknown): void
  closed(): Promise<{ readonly code: number; readonly reason: string }>
}

export interface RealtimeServerOptions {
  readonly tables?: readonly string[]
  readonly limits?: Partial<TidemarkConfig['realtime']>
  /** Clients are asked to come again. */
  readonly unattached?: boolean
}

/** A server of `/realtime/v1` without a database: changes and policies are those of the test. */
export const openRealtimeServer = async (
  cleanups: Cleanups,
  { tables = ['todos', 'rooms'], limits = {}, unattached = false }: RealtimeServerOptions = {},
): Promise<RealtimeServer> => {
  const base = resolveConfig({ env: { ENV: 'production' } })
  const config: TidemarkConfig = { ...base, realtime: { ...base.realtime, ...limits } }
  const observation = createObservation(silentLogger)
  const log = silentLogger
  const verifier = createVerifier({ keys: { secrets: [secret], publicKeys: [] } })
  const keys = [{ digest: digestOf(publishableKey), role: 'anon' }]
  const findCaller = createFindCaller({ verifier, keys: () => keys })
  const app = await createHttp({ log, metrics: observation.metrics })
  const hub = openServerHub({ app, config, observation, log })
  const realtime = await openServerSupabaseRealtime({ app, hub, config, findCaller, observation, log })
  const topics = await openTopics({ log })
  const changes = createMemoryChanges(tables)
  const messages = createMemoryMessages()
  if (!unattached) realtime.attach({ topics, changes, policies: messages, replay: messages, broadcasts: messages })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  cleanups.push(async () => {
    await app.close()
    realtime.stop()
  })

  const token = (claims: Readonly<Record<string, unknown>>, expiresIn = '1h') =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setIssuedAt()
      .setExpirationTime(expiresIn)
      .sign(new TextEncoder().encode(secret))

  const url = `http://127.0.0.1:${port}`
  const anonKey = await token({ role: 'anon', iss: 'tidemark' })
  return {
    url,
    port,
    hub,
    changes,
    messages,
    observation,
    anonKey,
    token,
    client: (options = {}, key = anonKey) => {
      const realtimeOptions = { transport: WebSocket as never, timeout: 5_000, reconnectAfterMs: () => 20, ...options }
      const client = createClient(url, key, {
        auth: { persistSession: false, autoRefreshToken: false },
        realtime: realtimeOptions,
      })
      cleanups.push(() => void client.realtime.disconnect())
      return client
    },
    raw: async (query = `apikey=${anonKey}&vsn=2.0.0`) => {
      const ws = new WebSocket(`ws://127.0.0.1:${port}/realtime/v1/websocket?${query}`)
      cleanups.push(() => ws.terminate())
      const heard: unknown[] = []
      ws.on('message', (data: Buffer, isBinary) => void heard.push(isBinary ? data : JSON.parse(data.toString())))
      ws.on('error', () => undefined)
      const closed = new Promise<{ code: number; reason: string }>((resolve) =>
        ws.once('close', (code, reason) => resolve({ code, reason: reason.toString() })),
      )
      await new Promise((resolve, reject) => {
        ws.once('open', resolve)
        ws.once('error', reject)
      })
      return { ws, heard, send: (message) => ws.send(JSON.stringify(message)), closed: () => closed }
    },
  }
}
