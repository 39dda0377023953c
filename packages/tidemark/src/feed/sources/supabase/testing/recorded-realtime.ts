import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'

/** A message of the Phoenix protocol. */
export interface Message {
  readonly join_ref: string | null
  readonly ref: string | null
  readonly topic: string
  readonly event: string
  readonly payload: Record<string, unknown>
}

interface Joined {
  readonly socket: WebSocket
  readonly version: string
  readonly topic: string
  readonly bindings: readonly { readonly id: number; readonly table: unknown }[]
}

export interface RecordedRealtime {
  readonly url: string
  /** Subscriptions that stand. */
  readonly joined: Joined[]
  /** Joins so far, refused ones included. */
  readonly joins: Message[]
  /** How the next joins are answered. Default ok. */
  answer: 'ok' | 'error' | 'silence'
  /** Whether it says, some time after the join, that it listens to the database. */
  system: 'ok' | 'error' | 'none'
  /** Sends a postgres_changes push to whoever has bindings for it; `data` is JSON text, as recorded. */
  push(data: string): void
  /** Any other push. */
  send(event: string, payload: string): void
  /** Cuts every connection without a word. */
  cut(): void
  close(): Promise<void>
}

const parse = (raw: string): Message => {
  const read = JSON.parse(raw) as Message | [string | null, string | null, string, string, Record<string, unknown>]
  if (!Array.isArray(read)) return read
  const [join_ref, ref, topic, event, payload] = read
  return { join_ref, ref, topic, event, payload }
}

/** The frame, by the version of the protocol; `payload` is JSON text and goes out as it is. */
const frame = (version: string, [joinRef, ref, topic, event]: readonly (string | null)[], payload: string): string =>
  version === '2.0.0'
    ? `[${[joinRef, ref, topic, event].map((part) => JSON.stringify(part ?? null)).join(',')},${payload}]`
    : `{"ref":${JSON.stringify(ref ?? null)},"join_ref":${JSON.stringify(joinRef ?? null)},"topic":${JSON.stringify(topic)},"event":${JSON.stringify(event)},"payload":${payload}}`

const changesOf = ({ payload }: Message): readonly Record<string, unknown>[] =>
  (payload.config as { postgres_changes?: Record<string, unknown>[] } | undefined)?.postgres_changes ?? []

/** The far end of a Realtime connection, answering as the service was recorded to answer. */
export const createRecordedRealtime = async (): Promise<RecordedRealtime> => {
  const http = createServer()
  const server = new WebSocketServer({ server: http, path: '/realtime/v1/websocket' })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  let nextId = 4_000_000
  const joined: Joined[] = []
  const joins: Message[] = []

  const join = (socket: WebSocket, version: string, message: Message): void => {
    joins.push(message)
    const { join_ref, ref, topic } = message
    const reply = (payload: object) => socket.send(frame(version, [join_ref, ref, topic, 'phx_reply'], JSON.stringify(payload)))
    if (recorded.answer === 'silence') return
    if (recorded.answer === 'error') {
      reply({
        status: 'error',
        response: { reason: 'Unauthorized: You do not have permissions to read from this Channel topic: feed' },
      })
      return
    }
    const changes: { id: number; table?: unknown }[] = changesOf(message).map((change) => ({ ...change, id: nextId++ }))
    reply({ status: 'ok', response: { postgres_changes: changes } })
    joined.push({ socket, version, topic, bindings: changes.map(({ id, table }) => ({ id, table })) })
    if (recorded.system === 'none') return
    const told =
      recorded.system === 'ok'
        ? { message: 'Subscribed to PostgreSQL', status: 'ok' }
        : { message: 'Unable to subscribe to changes with given parameters. Please check Realtime is enabled', status: 'error' }
    const payload = JSON.stringify({ ...told, extension: 'postgres_changes', channel: topic.replace('realtime:', '') })
    socket.send(frame(version, [join_ref, null, topic, 'system'], payload))
  }

  server.on('connection', (socket, request) => {
    const version = new URL(request.url ?? '', 'http://localhost').searchParams.get('vsn') ?? '1.0.0'
    socket.on('close', () => {
      for (let index = joined.length - 1; index >= 0; index -= 1) if (joined[index]!.socket === socket) joined.splice(index, 1)
    })
    socket.on('message', (raw) => {
      const message = parse(String(raw))
      const { join_ref, ref, topic, event } = message
      if (event === 'phx_join') return join(socket, version, message)
      if (event !== 'heartbeat' && event !== 'phx_leave') return
      socket.send(frame(version, [join_ref, ref, topic, 'phx_reply'], '{"status":"ok","response":{}}'))
      if (event === 'phx_leave') socket.send(frame(version, [join_ref, ref, topic, 'phx_close'], '{}'))
    })
  })

  const recorded: RecordedRealtime = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    joined,
    joins,
    answer: 'ok',
    system: 'ok',
    push: (data) => {
      const { table } = JSON.parse(data) as { readonly table?: unknown }
      for (const { socket, version, topic, bindings } of joined) {
        const ids = bindings.flatMap((binding) => (binding.table === table ? [binding.id] : []))
        socket.send(frame(version, [null, null, topic, 'postgres_changes'], `{"ids":[${ids.join(',')}],"data":${data}}`))
      }
    },
    send: (event, payload) => {
      for (const { socket, version, topic } of joined) socket.send(frame(version, [null, null, topic, event], payload))
    },
    cut: () => {
      for (const socket of server.clients) socket.terminate()
    },
    close: async () => {
      recorded.cut()
      server.close()
      http.closeAllConnections()
      http.close()
      await once(http, 'close')
    },
  }
  return recorded
}
