import type { IncomingMessage, Server } from 'node:http'
import type { Socket } from 'node:net'
import { WebSocketServer } from 'ws'
import type { Logger } from '../../observability/observability.js'
import { type Clock, systemClock } from '../../time/clock.js'
import { type ClientPage, type ClientQuery, listClients } from './client-list.js'
import { ClientSocket, type SocketHost } from './client-socket.js'
import type { Acceptance, EndedClient, Hub, HubOptions, Refusal, SocketProtocol, UpgradeRequest } from './hub.js'
import { createHubMetrics, type HubMetrics, noTraffic, type Traffic } from './hub-metrics.js'
import { FrameJoiner } from './join-frames.js'
import { refuse, serveWithoutUpgrade } from './upgrade.js'

/** How often deadlines are looked at. */
const sweepEveryMs = 1_000
const defaultAcknowledgeEveryMs = 200
const defaultCloseTimeoutMs = 5_000

const isRefusal = (answer: Acceptance | Refusal): answer is Refusal => 'status' in answer

/** A protocol with its sockets. */
interface Served {
  readonly protocol: SocketProtocol
  readonly handshakes: WebSocketServer
  readonly traffic: Traffic
  readonly host: SocketHost
}

const stopping: Refusal = { status: 503, body: { error: 'Server is shutting down' }, headers: { 'retry-after': '1' } }
const broken: Refusal = { status: 500, body: { error: 'Internal server error' } }

const requestOf = (request: IncomingMessage): UpgradeRequest => {
  const [path = '/', query = ''] = (request.url ?? '/').split(/\?(.*)/s)
  return { path, query: new URLSearchParams(query), headers: request.headers, remote: request.socket.remoteAddress ?? '' }
}

const isWebSocket = ({ headers }: IncomingMessage): boolean => headers.upgrade?.toLowerCase() === 'websocket'

class SocketHub implements Hub {
  readonly #log: Logger
  readonly #clock: Clock
  readonly #metrics: HubMetrics
  readonly #maxConnections: number
  readonly #acknowledgeEveryMs: number
  readonly #closeTimeoutMs: number
  readonly #served: Served[] = []
  readonly #sockets = new Set<ClientSocket>()
  readonly #joiner = new FrameJoiner()
  readonly #detach: (() => void)[] = []
  readonly #end = new AbortController()
  #dirty: ClientSocket[] = []
  #later = new Set<ClientSocket>()
  #laterIsDue = false
  #pending = 0
  #number = 0
  #refusing = false
  #whenEmpty: (() => void) | undefined

  constructor(options: HubOptions) {
    const { log, metrics, maxConnections, clock = systemClock } = options
    this.#log = log
    this.#clock = clock
    this.#metrics = createHubMetrics(metrics)
    this.#maxConnections = maxConnections
    this.#acknowledgeEveryMs = options.acknowledgeEveryMs ?? defaultAcknowledgeEveryMs
    this.#closeTimeoutMs = options.closeTimeoutMs ?? defaultCloseTimeoutMs
    void this.#sweepAlways()
  }

  attach(server: Server): void {
    const take = (request: IncomingMessage, socket: Socket, head: Buffer): void => {
      const served = isWebSocket(request) ? this.#findProtocol(request.url ?? '') : undefined
      if (served) void this.#upgrade(served, request, socket, head)
      else serveWithoutUpgrade(server, request, socket, head)
    }
    server.on('upgrade', take)
    this.#detach.push(() => server.off('upgrade', take))
  }

  #findProtocol(url: string): Served | undefined {
    const path = url.split('?', 1)[0] ?? ''
    return this.#served.find(({ protocol }) => protocol.takes(path))
  }

  serve(protocol: SocketProtocol): void {
    const traffic = noTraffic()
    const handshakes = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      maxPayload: protocol.maxMessageBytes,
      // Declared by `ws` from 8.19 on, and not yet by its types.
      ...({ closeTimeout: this.#closeTimeoutMs } as object),
    })
    this.#served.push({ protocol, handshakes, traffic, host: this.#hostOf(protocol, traffic) })
  }

  #hostOf(protocol: SocketProtocol, traffic: Traffic): SocketHost {
    return {
      protocol,
      traffic,
      acknowledgeEveryMs: this.#acknowledgeEveryMs,
      now: () => this.#clock.now(),
      monotonicMs: () => this.#clock.monotonicMs(),
      markDirty: (socket) => this.#markDirty(socket),
      flushLater: (socket) => this.#flushLater(socket),
      ended: (why) => this.#metrics.ended(protocol.name, why),
      gone: (socket) => this.#gone(socket, traffic),
      broken: (err) => this.#log.error('a client could not be served', { protocol: protocol.name, err }),
    }
  }

  async #upgrade(served: Served, request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const { protocol } = served
    // Until the handshake is done nobody else listens.
    const ignore = (): void => undefined
    socket.on('error', ignore)
    this.#pending += 1
    try {
      const answer = await this.#decide(protocol, request)
      if (socket.destroyed) return
      if (isRefusal(answer)) {
        this.#metrics.refused(protocol.name, answer.status)
        refuse(socket, answer)
      } else this.#open(served, answer, request, socket, head)
    } finally {
      this.#pending -= 1
      socket.off('error', ignore)
      if (socket.writableEnded) socket.on('error', ignore)
    }
  }

  async #decide(protocol: SocketProtocol, request: IncomingMessage): Promise<Acceptance | Refusal> {
    if (this.#refusing) return stopping
    if (this.#sockets.size + this.#pending > this.#maxConnections) return protocol.full()
    try {
      const answer = await protocol.accept(requestOf(request))
      return this.#refusing ? stopping : answer
    } catch (err) {
      this.#log.error('an upgrade failed', { protocol: protocol.name, err })
      return broken
    }
  }

  #open({ handshakes, traffic, host }: Served, { open }: Acceptance, request: IncomingMessage, net: Socket, head: Buffer): void {
    handshakes.handleUpgrade(request, net, head, (ws) => {
      this.#number += 1
      const socket = new ClientSocket(String(this.#number), ws, net, host)
      this.#sockets.add(socket)
      traffic.connections += 1
      socket.start(open(socket))
    })
  }

  #gone(socket: ClientSocket, traffic: Traffic): void {
    if (!this.#sockets.delete(socket)) return
    traffic.connections -= 1
    this.#later.delete(socket)
    if (this.#sockets.size === 0) this.#whenEmpty?.()
  }

  #markDirty(socket: ClientSocket): void {
    this.#dirty.push(socket)
    if (this.#dirty.length === 1) setImmediate(() => this.#flush())
  }

  #flush(): void {
    const dirty = this.#dirty
    this.#dirty = []
    for (const socket of dirty) socket.flush(this.#joiner)
    this.#joiner.forget()
  }

  #flushLater(socket: ClientSocket): void {
    this.#later.add(socket)
    if (!this.#laterIsDue) void this.#flushAfterWhile()
  }

  async #flushAfterWhile(): Promise<void> {
    this.#laterIsDue = true
    await this.#clock.sleep(this.#acknowledgeEveryMs, this.#end.signal).catch(() => undefined)
    this.#laterIsDue = false
    const later = this.#later
    this.#later = new Set()
    for (const socket of later) socket.flush(this.#joiner)
    this.#joiner.forget()
  }

  /** One timer for all. */
  async #sweepAlways(): Promise<void> {
    const { signal } = this.#end
    while (!signal.aborted) {
      await this.#clock.sleep(sweepEveryMs, signal).catch(() => undefined)
      if (signal.aborted) return
      const now = this.#clock.monotonicMs()
      for (const socket of this.#sockets) socket.sweep(now)
    }
  }

  connections(protocol?: string): number {
    if (protocol === undefined) return this.#sockets.size
    return this.#served.find((served) => served.protocol.name === protocol)?.traffic.connections ?? 0
  }

  bufferedBytes(): number {
    let bytes = 0
    for (const socket of this.#sockets) bytes += socket.bufferedBytes
    return bytes
  }

  clients(query: ClientQuery): Promise<ClientPage> {
    return listClients(this.#sockets, query, () => this.#clock.monotonicMs())
  }

  end(id: string): EndedClient | undefined {
    for (const socket of this.#sockets) {
      if (socket.id !== id) continue
      if (!socket.isOpen) return undefined
      const { protocol } = socket
      const served = this.#served.find((each) => each.protocol.name === protocol)
      socket.cutOff('operator')
      return served && { protocol, ...served.protocol.farewell('operator') }
    }
    return undefined
  }

  refreshMetrics(): void {
    for (const { protocol, traffic } of this.#served) this.#metrics.show(protocol.name, traffic)
    this.#metrics.showBuffered(this.bufferedBytes())
  }

  refuseNew(): void {
    this.#refusing = true
  }

  async stop(timeoutMs = this.#closeTimeoutMs): Promise<void> {
    this.refuseNew()
    const empty = new Promise<void>((resolve) => {
      this.#whenEmpty = resolve
    })
    for (const socket of [...this.#sockets]) socket.cutOff('shutdown')
    const enough = new AbortController()
    if (this.#sockets.size > 0) {
      const late = this.#clock.sleep(timeoutMs, enough.signal).catch(() => undefined)
      await Promise.race([empty, late])
    }
    enough.abort()
    for (const socket of [...this.#sockets]) socket.terminate()
    if (this.#sockets.size > 0) await empty
    for (const detach of this.#detach) detach()
    this.#end.abort()
    this.refreshMetrics()
  }
}

/** Opens a hub. It takes no upgrade before `attach`. */
export const openHub = (options: HubOptions): Hub => new SocketHub(options)
