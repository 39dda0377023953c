import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface HoldingProxy {
  readonly url: string
  /** From now on answers on a line on which such bytes are sent are kept back. */
  hold(asked: RegExp): void
  /** How many lines are held. */
  held(): number
  release(): void
  stop(): Promise<void>
}

/** Stands before a Redis and keeps answers back, so that something may happen between a question and its answer. */
export const openHoldingProxy = async (target: string): Promise<HoldingProxy> => {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  const waiting = new Map<Socket, Buffer[]>()
  let asked: RegExp | undefined
  const server = createServer((line) => {
    const onward = connect(Number(port), hostname)
    for (const [one, other] of [
      [line, onward],
      [onward, line],
    ] as const) {
      sockets.add(one)
      one.on('error', () => undefined)
      one.on('close', () => {
        sockets.delete(one)
        waiting.delete(one)
        other.destroy()
      })
    }
    line.on('data', (bytes) => {
      if (asked?.test(bytes.toString('latin1')) && !waiting.has(line)) waiting.set(line, [])
      onward.write(bytes)
    })
    onward.on('data', (bytes) => {
      const kept = waiting.get(line)
      if (kept) kept.push(bytes)
      else line.write(bytes)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    hold: (pattern) => {
      asked = pattern
    },
    held: () => waiting.size,
    release: () => {
      asked = undefined
      for (const [line, kept] of waiting) for (const bytes of kept) line.write(bytes)
      waiting.clear()
    },
    stop: async () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
