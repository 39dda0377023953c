import type { DatabaseMessage } from '../../messages/messages.js'

/** Older messages that a channel is told again, and those that come in meanwhile: they may be among them, and come after them. */
export class ChannelReplay {
  #told: ReadonlySet<string> | undefined
  /** Undefined once the older ones are told. */
  #meanwhile: DatabaseMessage[] | undefined = []

  /** `again` gets what was looked up, `live` what came in since. */
  async run(
    lookUp: () => Promise<readonly DatabaseMessage[]>,
    again: (message: DatabaseMessage) => void,
    live: (message: DatabaseMessage) => void,
  ): Promise<void> {
    const messages = await lookUp()
    const meanwhile = this.#meanwhile ?? []
    this.#meanwhile = undefined
    this.#told = new Set(messages.map(({ id }) => id))
    for (const message of messages) again(message)
    for (const message of meanwhile) live(message)
  }

  /** Whether the message is to be told now: it was not told again, and does not have to wait. */
  admits(message: DatabaseMessage): boolean {
    if (this.#told?.has(message.id)) return false
    this.#meanwhile?.push(message)
    return this.#meanwhile === undefined
  }
}
