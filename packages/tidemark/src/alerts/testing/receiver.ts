import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a receiver of webhooks got, as it reads it. */
export interface ReceivedNotice {
  readonly id: string
  readonly atMs: number
  readonly alerts: readonly {
    readonly kind: string
    readonly id: string
    readonly alert_type: string
    readonly entity_id: string
  }[]
}

export interface Receiver {
  readonly url: string
  readonly received: ReceivedNotice[]
  /** Of all notices, kind and entity of each alert, in their order. */
  told(): readonly string[]
  /** Answers with this status from now on, or not at all; by default 204. */
  answer(status: number | 'never'): void
  /** Names of everything that came, answered or not. */
  readonly asked: string[]
  stop(): Promise<void>
}

/** The other end of a channel: a real HTTP server on this machine. */
export const startReceiver = async (): Promise<Receiver> => {
  const received: ReceivedNotice[] = []
  const asked: string[] = []
  let status: number | 'never' = 204
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { data } = JSON.parse(Buffer.concat(chunks).toString()) as { data: Pick<ReceivedNotice, 'alerts'> }
      asked.push(String(request.headers['webhook-id']))
      if (status === 'never') return
      if (status < 300) received.push({ id: String(request.headers['webhook-id']), atMs: Date.now(), alerts: data.alerts })
      response.writeHead(status).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts`,
    received,
    asked,
    told: () =>
      received.flatMap(({ alerts }) => alerts.map(({ kind, entity_id }) => (entity_id ? `${kind} ${entity_id}` : kind))),
    answer: (next) => {
      status = next
    },
    stop: () => {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/** For channels of tests. */
export const testSecret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`
