/** Processes of `resilience-process.ts`, and a service for them to call. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { ResilienceProcessLine, ResilienceProcessOptions } from './resilience-process.js'

/** Built, whether this is the source or what was made of it. */
const executable = fileURLToPath(new URL('../../../dist/testing/resilience/resilience-process.js', import.meta.url))

export interface Peer {
  readonly child: ChildProcess
  readonly lines: ResilienceProcessLine[]
}

export const startPeer = (options: ResilienceProcessOptions): Peer => {
  const child = spawn(process.execPath, [executable, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'inherit'] })
  const peer: Peer = { child, lines: [] }
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) peer.lines.push(JSON.parse(part) as ResilienceProcessLine)
  })
  return peer
}

export const isReady = ({ lines }: Peer): boolean => lines.some((line) => 'ready' in line)
export const statesOf = ({ lines }: Peer) => lines.flatMap((line) => ('state' in line ? [line] : []))
export const stateOf = (peer: Peer): string => statesOf(peer).at(-1)?.state ?? ''
export const endPeer = async ({ child }: Peer, signal: NodeJS.Signals): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await once(child, 'close')
}

/** A service that can be made to fail, and counts who is in it at once. */
export const createService = async () => {
  let status = 200
  let takesMs = 0
  let inside = 0
  const most: number[] = []
  const server: Server = createServer((request, response) => {
    const isProbe = request.headers['x-as'] === 'HALF_OPEN shared'
    if (isProbe) {
      inside += 1
      most.push(inside)
    }
    setTimeout(() => {
      if (isProbe) inside -= 1
      response.writeHead(status, { 'retry-after': '0' }).end()
    }, takesMs)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    become: (next: { readonly status: number; readonly takesMs: number }) => {
      status = next.status
      takesMs = next.takesMs
      most.length = 0
    },
    /** How many probes were inside when each of them came, itself included. */
    most,
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
