import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Item {
  readonly kind: string
  readonly id: string
  readonly entity_id: string
}

/** The other end of a channel, which fails when it is told to. */
export class AlertsReceiver {
  /** By kind and alert: the names of the messages that told it, and when the first came. */
  readonly told = new Map<string, { readonly names: Set<string>; readonly atMs: number }>()
  readonly entities = new Map<string, number>()
  messages = 0
  mood: 'well' | 'failing' | 'silent' = 'well'
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      // One that fails may have read what it was told: whatever came counts as heard.
      this.#hear(String(request.headers['webhook-id']), Buffer.concat(chunks).toString())
      if (this.mood === 'well') response.writeHead(204).end()
      else if (this.mood === 'failing') response.writeHead(503).end()
    })
  })

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #hear(name: string, body: string): void {
    this.messages += 1
    const { data } = JSON.parse(body) as { readonly data: { readonly alerts: readonly Item[] } }
    for (const { kind, id, entity_id } of data.alerts) {
      const key = `${kind} ${id}`
      const known = this.told.get(key) ?? { names: new Set(), atMs: Date.now() }
      known.names.add(name)
      this.told.set(key, known)
      if (!this.entities.has(entity_id)) this.entities.set(entity_id, Date.now())
    }
  }
}
