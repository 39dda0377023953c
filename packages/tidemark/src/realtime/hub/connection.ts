import type { Frame } from './frame.js'

/** One client's socket. What is sent in one turn of the event loop leaves together. */
export interface Connection {
  /** Unique within this process. */
  readonly id: string
  /** The address of the other end. */
  readonly remote: string
  /** False from the moment somebody ends it: nothing sent from then on is delivered. */
  readonly isOpen: boolean
  /** Bytes that were sent and that the client's machine has not taken yet. */
  readonly bufferedBytes: number
  /** How many frames were sent so far. What `acknowledged` of the handler speaks in. */
  readonly sent: number
  /** Never waits, never raises. A client that leaves too much unread is cut off. */
  send(frame: Frame): void
  /** As `send` one by one. */
  sendFrames(frames: readonly Frame[]): void
  /** The handler is told once the client has received all that was sent up to now; for several requests perhaps once. */
  requestAcknowledgement(): void
  /** Ends it after what was sent. `reason`: at most 123 bytes, longer ones are cut. `why` counts in the metrics, none for a client's own wish. */
  close(code: number, reason: string, why?: string): void
}
