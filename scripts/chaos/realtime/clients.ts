/** Clients of two kinds: supabase-js as it is, whose place the server remembers, and one that says where it was. */
import { createRequire } from 'node:module'
import { createClient, type SupabaseClient } from '@supabase/supabase-js'
import type { WebSocket as Socket } from 'ws'
import { Ledger } from './ledger.ts'
import type { Wire } from './wire.ts'

const { WebSocket } = createRequire(import.meta.resolve('../../../packages/tidemark/dist/server/server.js'))(
  'ws',
) as typeof import('ws')

export interface ChaosClient {
  readonly ledger: Ledger
  readonly wire: Wire
  /** Channels that were joined, the first one included. */
  joins(): number
  /** Whether a server that has never seen it can tell that it is not new. */
  isKnown(): boolean
  /** Ends the connection as a client does, and comes again. */
  leave(): void
  stop(): Promise<void>
}

export interface ClientOptions {
  readonly name: string
  readonly wire: Wire
  readonly anonKey: string
  /** Milliseconds until it tries again. */
  pause(): number
}

interface Told {
  readonly record: { readonly seq: number; readonly body: string }
}

const table = { event: '*', schema: 'public', table: 'oracle' } as const
const heartbeatMs = 1_000
/** A client that has sent no more than so many messages may just have been made. */
const numbersOfNewClient = 6

/** As an application has it. Only its transport is looked at: what the server asks there is answered before anybody is told. */
export const openSupabaseClient = async ({ name, wire, anonKey, pause }: ClientOptions): Promise<ChaosClient> => {
  const ledger = new Ledger(name, { namesItsPosition: false })
  let joins = 0
  let sent = 0
  let socket: Socket | undefined
  let stopped = false
  const seen = (opened: Socket): void => {
    socket = opened
  }
  class Transport extends WebSocket {
    constructor(address: string | URL, protocols?: string | string[]) {
      super(address, protocols)
      seen(this)
      ledger.connected()
      this.on('ping', () => ledger.acknowledged())
    }

    override send(data: string | Buffer, ...more: never[]): void {
      const [, join] = typeof data === 'string' ? (/^\["(\d+)",[^[]*"phx_join"/.exec(data) ?? []) : []
      if (join !== undefined) ledger.joining(join)
      if (typeof data === 'string') sent = Number(/^\[[^,]*,"(\d+)"/.exec(data)?.[1] ?? sent)
      super.send(data, ...more)
    }
  }
  const client: SupabaseClient = createClient(`http://127.0.0.1:${wire.port}`, anonKey, {
    auth: { persistSession: false, autoRefreshToken: false },
    realtime: { transport: Transport as never, reconnectAfterMs: pause, heartbeatIntervalMs: heartbeatMs, timeout: 10_000 },
  })
  const listen = (): void => {
    client
      .channel(name)
      .on('postgres_changes', table, (change) => {
        const { seq, body } = change.new as Told['record']
        ledger.take(seq, body)
      })
      .on('system', {}, ({ gap, message }: { readonly gap?: object; readonly message?: string }) => {
        if (gap) ledger.gap(message ?? '')
      })
      .subscribe((status) => {
        if (status === 'SUBSCRIBED') joins++
        // It will not come again by itself: the application knows, reads anew and listens anew.
        if (status === 'CLOSED' && !stopped) {
          ledger.gap('the channel was closed')
          setTimeout(listen, pause())
        }
      })
  }
  listen()
  return {
    ledger,
    wire,
    joins: () => joins,
    isKnown: () => sent > numbersOfNewClient,
    leave: () => socket?.close(),
    stop: async () => {
      stopped = true
      await client.realtime.disconnect()
    },
  }
}

type Message = readonly [string | null, string | null, string, string, Record<string, unknown>]

/** Speaks the protocol, and names the position of what it was told last. */
export const openPositionClient = async ({ name, wire, anonKey, pause }: ClientOptions): Promise<ChaosClient> => {
  const ledger = new Ledger(name, { namesItsPosition: true })
  const topic = `realtime:${name}`
  let joins = 0
  let position: string | true = true
  let socket: Socket
  let timer: NodeJS.Timeout | undefined
  let retry: NodeJS.Timeout | undefined
  let stopped = false

  const hear = ([, ref, about, event, payload]: Message): void => {
    if (about !== topic) return
    if (event === 'phx_reply' && ref === '1') {
      if (payload['status'] === 'ok') joins++
      else socket.close()
    } else if (event === 'postgres_changes') {
      const { data, position: at } = payload as unknown as { readonly data: Told; readonly position: string }
      ledger.take(data.record.seq, data.record.body)
      position = at
    } else if (event === 'system') {
      const {
        gap,
        extension,
        position: at,
      } = payload as {
        readonly gap?: { readonly position: string }
        readonly extension: string
        readonly position?: string
      }
      if (gap) {
        ledger.gap(String(payload['message']))
        position = gap.position
      } else if (extension === 'tidemark' && at !== undefined) position = at
    } else if (event === 'phx_error' || event === 'phx_close') socket.close()
  }

  const connect = (): void => {
    const opened = new WebSocket(`ws://127.0.0.1:${wire.port}/realtime/v1/websocket?vsn=2.0.0&apikey=${anonKey}`)
    socket = opened
    ledger.connected()
    const send = (ref: string, to: string, event: string, payload: object): void => {
      if (opened.readyState === WebSocket.OPEN) opened.send(JSON.stringify(['1', ref, to, event, payload]))
    }
    opened.on('open', () => {
      ledger.joining(String(position))
      const config = { broadcast: { position }, presence: { enabled: false }, private: false, postgres_changes: [table] }
      send('1', topic, 'phx_join', { config })
      timer = setInterval(() => send('2', 'phoenix', 'heartbeat', {}), heartbeatMs)
    })
    opened.on('message', (data: Buffer, binary) => {
      if (!binary) hear(JSON.parse(data.toString()) as Message)
    })
    opened.on('error', () => undefined)
    opened.on('close', () => {
      clearInterval(timer)
      if (!stopped) retry = setTimeout(connect, pause())
    })
  }
  connect()
  return {
    ledger,
    wire,
    joins: () => joins,
    isKnown: () => joins > 0,
    leave: () => socket.close(),
    stop: async () => {
      stopped = true
      clearTimeout(retry)
      socket.terminate()
    },
  }
}
