import type { Frame } from '../../hub/frame.js'
import type { ClientMessage } from './frames.js'

/** What a client may send before its join is answered. */
const maxMessages = 100

/** What waits until a join is answered: frames for the client, and what the client has said meanwhile. */
export class Withheld {
  readonly frames: Frame[] = []
  readonly messages: ClientMessage[] = []
  bytes = 0

  hold(frame: Frame): void {
    this.frames.push(frame)
    this.bytes += frame.length
  }

  /** False where it has said too much already. */
  keep(message: ClientMessage): boolean {
    if (this.messages.length >= maxMessages) return false
    this.messages.push(message)
    return true
  }
}
