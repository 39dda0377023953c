import { randomUUID } from 'node:crypto'
import type { Caller } from '../../../auth/caller.js'
import type { Connection } from '../../hub/connection.js'
import type { Frame } from '../../hub/frame.js'
import type { Services } from './services.js'
import { SupabaseSocket } from './supabase-socket.js'

export interface ChannelInspection {
  readonly caller: Caller
  /** As a client names it, without `realtime:`. */
  readonly topic: string
  readonly private: boolean
  /** Tables whose changes are asked for. */
  readonly tables: readonly { readonly schema: string; readonly table: string }[]
  /** Each message that such a client would get, the answer to its join among them. */
  onMessage(event: string, payload: unknown): void
  /** The server ended the connection. */
  onEnd(reason: string): void
}

/** The payload of a text frame. */
const payloadOf = (frame: Frame): Buffer => {
  const length = frame[1]! & 0x7f
  return frame.subarray(length < 126 ? 2 : length === 126 ? 4 : 10)
}

interface Message {
  readonly event: string
  readonly payload: unknown
}

/** A client of this process that reads everything at once. */
class InspectorConnection implements Connection {
  readonly id = `inspector-${randomUUID()}`
  readonly remote = 'inspector'
  readonly bufferedBytes = 0
  readonly #inspection: ChannelInspection
  #acknowledge: (sent: number) => void = () => {}
  #isOpen = true
  #sent = 0

  constructor(inspection: ChannelInspection) {
    this.#inspection = inspection
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  get sent(): number {
    return this.#sent
  }

  send(frame: Frame): void {
    if (!this.#isOpen) return
    this.#sent += 1
    const { event, payload } = JSON.parse(payloadOf(frame).toString()) as Message
    this.#inspection.onMessage(event, payload)
  }

  sendFrames(frames: readonly Frame[]): void {
    for (const frame of frames) this.send(frame)
  }

  requestAcknowledgement(): void {
    setImmediate(() => this.#acknowledge(this.#sent))
  }

  close(_code: number, reason: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#inspection.onEnd(reason)
  }

  onAcknowledged(acknowledge: (sent: number) => void): void {
    this.#acknowledge = acknowledge
  }

  end(): void {
    this.#isOpen = false
  }
}

const sweepEveryMs = 1_000
const left = 1001

/**
 * Joins a channel as a caller would, by the code that serves clients: what row security and the policies of channels hide is hidden. It says
 * nothing and is not present. Gives what leaves the channel.
 */
export const inspectChannel = (services: Services, inspection: ChannelInspection): (() => void) => {
  const { caller, topic, tables } = inspection
  const connection = new InspectorConnection(inspection)
  // A place that the user's own client keeps is never taken: a session and an origin of its own.
  const { session_id: _session, ...claims } = caller.claims
  const own: Caller = { ...caller, claims }
  const identity = { token: connection.id, caller: own, expiresAtMs: Number.POSITIVE_INFINITY }
  const opening = { version: '1.0.0', identity, headers: {}, origin: connection.id } as const
  const socket = new SupabaseSocket({ ...services, findCaller: async () => own }, connection, opening)
  connection.onAcknowledged((sent) => socket.acknowledged(sent))
  const sweeping = setInterval(() => socket.sweep(), sweepEveryMs)
  sweeping.unref()
  const changes = tables.map((table) => ({ event: '*', ...table }))
  const config = { broadcast: { self: true }, private: inspection.private, postgres_changes: changes }
  const join = { topic: `realtime:${topic}`, event: 'phx_join', payload: { config }, ref: '1', join_ref: '1' }
  socket.message(Buffer.from(JSON.stringify(join)), false)
  return () => {
    clearInterval(sweeping)
    connection.end()
    socket.closed(left)
  }
}
