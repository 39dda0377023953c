/**
 * What stands before nodes, as small as it goes: it asks each at /readyz, and connections go to one after the other of those that are. Where a node refuses a connection the
 * next is asked; what was sent is never sent twice, so a request that a node has taken and not answered is a failed one.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Balancer {
  readonly port: number
  /** Connections that a node refused and another took. */
  refused(): number
  stop(): Promise<void>
}

const reach = async (port: number): Promise<Socket | undefined> => {
  const socket = connect({ port, host: '127.0.0.1' })
  return new Promise((resolve) => {
    socket.once('connect', () => resolve(socket))
    socket.once('error', () => resolve(undefined))
  })
}

export const askEveryMs = 200

const isReady = async (port: number): Promise<boolean> => {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined)
  await answer?.arrayBuffer().catch(() => undefined)
  return answer?.status === 200
}

export const openBalancer = async (ports: readonly number[]): Promise<Balancer> => {
  const ready = new Set<number>()
  const ask = async (port: number): Promise<void> => {
    if (await isReady(port)) ready.add(port)
    else ready.delete(port)
  }
  await Promise.all(ports.map(ask))
  // Each by itself, so that one that hangs keeps nobody from the others.
  const timers = ports.map((port) => setInterval(() => void ask(port), askEveryMs))
  let turn = 0
  let refused = 0
  const open = new Set<Socket>()
  const keep = (socket: Socket): void => {
    open.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => open.delete(socket))
  }
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, async (client) => {
    keep(client)
    const nodes = ports.filter((port) => ready.has(port))
    turn++
    for (let tries = 0; tries < nodes.length; tries++) {
      const node = await reach(nodes[(turn + tries) % nodes.length]!)
      if (node === undefined) {
        refused++
        continue
      }
      keep(node)
      client.pipe(node).pipe(client)
      client.once('close', () => node.destroy())
      node.once('close', () => client.destroy())
      client.resume()
      return
    }
    client.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    refused: () => refused,
    stop: async () => {
      for (const timer of timers) clearInterval(timer)
      for (const socket of open) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
