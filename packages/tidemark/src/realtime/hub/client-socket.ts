import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Connection } from './connection.js'
import { type Frame, pingFrame, pongFrame } from './frame.js'
import type { ClientView, CutOff, Farewell, SocketHandler, SocketProtocol } from './hub.js'
import type { Traffic } from './hub-metrics.js'
import type { FrameJoiner } from './join-frames.js'

/** What a socket needs of its hub. */
export interface SocketHost {
  readonly traffic: Traffic
  readonly protocol: SocketProtocol
  readonly acknowledgeEveryMs: number
  /** Wall time. */
  now(): number
  monotonicMs(): number
  /** Flushes it at the end of this turn. */
  markDirty(socket: ClientSocket): void
  /** Flushes it in a while. */
  flushLater(socket: ClientSocket): void
  ended(why: string): void
  gone(socket: ClientSocket): void
  broken(error: unknown): void
}

const own = Symbol('client')
type Owned = { [own]?: ClientSocket }

// One function for all sockets: an idle client should cost little.
function onMessage(this: WebSocket, data: Buffer, isBinary: boolean): void {
  ;(this as Owned)[own]?.received(data, isBinary)
}
function onPing(this: WebSocket, payload: Buffer): void {
  ;(this as Owned)[own]?.pinged(payload)
}
function onPong(this: WebSocket, payload: Buffer): void {
  ;(this as Owned)[own]?.ponged(payload)
}
function onError(this: WebSocket, error: Error): void {
  ;(this as Owned)[own]?.failed(error)
}
function onClose(this: WebSocket, code: number, reason: Buffer): void {
  ;(this as Owned)[own]?.ended(code, reason.toString())
}
function onDrain(this: Socket): void {
  ;(this as Owned)[own]?.drained()
}

/** What a queued frame costs besides its bytes. */
const frameOverheadBytes = 16
const maxReasonBytes = 123

/** A close frame carries little text: cut between characters. */
const closeReason = (reason: string): string => {
  if (Buffer.byteLength(reason) <= maxReasonBytes) return reason
  const cut = Buffer.from(reason).subarray(0, maxReasonBytes).toString()
  return cut.replace(/\uFFFD+$/, '')
}

const whyBroken: Readonly<Record<string, string>> = {
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 'tooLarge',
  WS_ERR_INVALID_UTF8: 'badText',
}

/**
 * open ─close─► closing ─the other side's answer, or time─► closed
 *   └─ the other side ends it, or the line breaks ─────────────┘
 *
 * Reading and the handshakes are done by `ws`; frames are written past it, so that one buffer serves many clients and everything of one turn
 * leaves in one piece.
 */
export class ClientSocket implements Connection {
  readonly id: string
  readonly remote: string
  /** Wall time. */
  readonly openedAtMs: number
  sent = 0
  /** On the monotonic clock. */
  heardMs: number
  readonly #ws: WebSocket
  readonly #net: Socket
  readonly #host: SocketHost
  #handler: SocketHandler | undefined
  #state: 'open' | 'closing' | 'closed' = 'open'
  #farewell: Farewell | undefined
  /** Frames that were written, the dropped ones of a client that was too slow left out. */
  #written = 0
  #queue: Frame[] = []
  #queuedBytes = 0
  #pong: Buffer | undefined
  #wantsAcknowledgement = false
  #pingNumber = 0
  #pingOutstanding = false
  #pingMark = 0
  #pingedMs = Number.NEGATIVE_INFINITY
  isDirty = false

  constructor(id: string, ws: WebSocket, net: Socket, host: SocketHost) {
    this.id = id
    this.remote = net.remoteAddress ?? ''
    this.openedAtMs = host.now()
    this.heardMs = host.monotonicMs()
    this.#ws = ws
    this.#net = net
    this.#host = host
    ;(ws as Owned)[own] = this
    ;(net as Owned)[own] = this
    ws.on('message', onMessage).on('ping', onPing).on('pong', onPong).on('error', onError).on('close', onClose)
    net.on('drain', onDrain)
  }

  /** What it hears goes there. */
  start(handler: SocketHandler): void {
    this.#handler = handler
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get protocol(): string {
    return this.#host.protocol.name
  }

  /** What its protocol knows of it. */
  get view(): ClientView | undefined {
    return this.#handler?.view?.()
  }

  /** How long a question for its acknowledgement has no answer; null where there is none. */
  unconfirmedMs(nowMs: number): number | null {
    return this.#pingOutstanding ? Math.max(0, Math.round(nowMs - this.#pingedMs)) : null
  }

  get bufferedBytes(): number {
    return this.#queuedBytes + this.#net.writableLength
  }

  send(frame: Frame): void {
    if (this.#state !== 'open') return
    if (this.bufferedBytes > this.#host.protocol.maxBufferedBytes && !this.#makesRoom()) return
    this.#queue.push(frame)
    this.#queuedBytes += frame.length + frameOverheadBytes
    this.sent += 1
    this.#markDirty()
  }

  sendFrames(frames: readonly Frame[]): void {
    for (const frame of frames) this.send(frame)
  }

  /** A burst within one turn says nothing about the client: first what waits is offered to its machine. */
  #makesRoom(): boolean {
    if (this.#canWrite()) this.#write(this.#queue)
    if (this.bufferedBytes <= this.#host.protocol.maxBufferedBytes) return true
    this.cutOff('slow')
    return false
  }

  requestAcknowledgement(): void {
    if (this.#wantsAcknowledgement || this.#state !== 'open') return
    this.#wantsAcknowledgement = true
    this.#markDirty()
  }

  #markDirty(): void {
    if (this.isDirty) return
    this.isDirty = true
    this.#host.markDirty(this)
  }

  #canWrite(): boolean {
    return !this.#net.writableNeedDrain && this.#net.writable
  }

  /** Writes what waits, unless the client's machine is still busy with what was written before. */
  flush(joiner: FrameJoiner): void {
    this.isDirty = false
    if (this.#state !== 'open' || !this.#canWrite()) return
    const control = this.#controlFrames()
    if (control.length === 0 && this.#queue.length === 0) return
    this.#write([...joiner.join(this.#queue), ...control])
  }

  #write(pieces: readonly Buffer[]): void {
    const { traffic } = this.#host
    traffic.framesOut += this.#queue.length
    this.#written += this.#queue.length
    if (this.#queue.length > 0) this.#queue = []
    this.#queuedBytes = 0
    if (pieces.length > 1) this.#net.cork()
    for (const piece of pieces) {
      traffic.bytesOut += piece.length
      this.#net.write(piece)
    }
    if (pieces.length > 1) this.#net.uncork()
  }

  #controlFrames(): readonly Frame[] {
    const frames: Frame[] = []
    if (this.#pong) frames.push(pongFrame(this.#pong))
    this.#pong = undefined
    if (!this.#wantsAcknowledgement || this.#pingOutstanding) return frames
    const now = this.#host.monotonicMs()
    if (now - this.#pingedMs < this.#host.acknowledgeEveryMs) {
      this.#host.flushLater(this)
      return frames
    }
    this.#wantsAcknowledgement = false
    this.#pingOutstanding = true
    this.#pingedMs = now
    this.#pingMark = this.sent
    this.#pingNumber += 1
    frames.push(pingFrame(Buffer.from(String(this.#pingNumber))))
    return frames
  }

  close(code: number, reason: string, why?: string): void {
    if (this.#state !== 'open') return
    if (why !== undefined) this.#host.ended(why)
    if (this.#net.writable && this.#queue.length > 0) this.#write(this.#queue)
    this.#end(code, reason)
  }

  /** Ends it for the hub's own reasons. */
  cutOff(why: CutOff): void {
    if (this.#state !== 'open') return
    const { code, reason } = this.#host.protocol.farewell(why)
    if (why === 'shutdown' || why === 'operator') {
      this.close(code, reason, why)
      return
    }
    this.#host.ended(why)
    // What was not written yet is let go of. What was may still be read, and acknowledged, until the line is ended.
    this.#queue = []
    this.#queuedBytes = 0
    this.#end(code, reason)
    // Nobody is there: what hangs on the client ends now.
    if (why === 'idle') queueMicrotask(() => this.#tellClosed(code, reason))
  }

  #end(code: number, reason: string): void {
    this.#state = 'closing'
    this.#farewell = { code, reason }
    this.#ws.close(code, closeReason(reason))
  }

  /** At once, without a word. */
  terminate(): void {
    this.#ws.terminate()
  }

  received(data: Buffer, isBinary: boolean): void {
    const { traffic } = this.#host
    traffic.framesIn += 1
    traffic.bytesIn += data.length
    if (this.#state !== 'open') return
    this.heardMs = this.#host.monotonicMs()
    this.#guard((handler) => handler.message(data, isBinary))
  }

  pinged(payload: Buffer): void {
    if (this.#state !== 'open') return
    this.heardMs = this.#host.monotonicMs()
    // Only the latest needs an answer, so that a flood of them makes no queue.
    this.#pong = payload
    this.#markDirty()
  }

  ponged(payload: Buffer): void {
    this.heardMs = this.#host.monotonicMs()
    if (!this.#pingOutstanding || payload.toString('latin1') !== String(this.#pingNumber)) return
    this.#pingOutstanding = false
    this.#guard((handler) => handler.acknowledged?.(this.#pingMark))
    if (this.#wantsAcknowledgement) this.#markDirty()
  }

  drained(): void {
    if (this.#queue.length > 0 || this.#pong || this.#wantsAcknowledgement) this.#markDirty()
  }

  /** `ws` ends the connection by itself; this is only the reason. */
  failed(error: Error & { readonly code?: unknown }): void {
    if (this.#state !== 'open') return
    const code = String(error.code ?? '')
    if (code.startsWith('WS_ERR_')) this.#host.ended(whyBroken[code] ?? 'badFrame')
    this.#state = 'closing'
  }

  ended(code: number, reason: string): void {
    const farewell = this.#state === 'closing' ? this.#farewell : undefined
    // Whoever answers our close frame has received everything before it.
    if (farewell !== undefined && code === farewell.code) this.#guard((handler) => handler.acknowledged?.(this.#written))
    this.#state = 'closed'
    this.#queue = []
    this.#queuedBytes = 0
    // Without an answer it ended as we wanted it to.
    if (farewell !== undefined && code === 1006) this.#tellClosed(farewell.code, farewell.reason)
    else this.#tellClosed(code, reason)
    this.#host.gone(this)
  }

  sweep(nowMs: number): void {
    if (this.#state !== 'open') return
    if (nowMs - this.heardMs > this.#host.protocol.idleTimeoutMs) this.cutOff('idle')
    else if (this.#handler?.sweep) this.#guard((handler) => handler.sweep?.(nowMs))
  }

  #tellClosed(code: number, reason: string): void {
    const handler = this.#handler
    this.#handler = undefined
    try {
      handler?.closed(code, reason)
    } catch (error) {
      this.#host.broken(error)
    }
  }

  #guard(call: (handler: SocketHandler) => void): void {
    if (!this.#handler) return
    try {
      call(this.#handler)
    } catch (error) {
      this.#host.broken(error)
      this.close(1011, 'internal error', 'error')
    }
  }
}
