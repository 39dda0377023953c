/** The line between one client and the servers, which can be cut in the middle of a frame. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

interface Pair {
  readonly near: Socket
  readonly far: Socket
}

export class Wire {
  readonly #server: Server
  readonly #target: () => number
  readonly #pairs = new Set<Pair>()
  #cutNext = false

  private constructor(target: () => number) {
    this.#target = target
    this.#server = createServer((near) => this.#join(near))
  }

  static async open(target: () => number): Promise<Wire> {
    const wire = new Wire(target)
    wire.#server.listen(0, '127.0.0.1')
    await once(wire.#server, 'listening')
    return wire
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  #join(near: Socket): void {
    const far = connect(this.#target(), '127.0.0.1')
    const pair = { near, far }
    this.#pairs.add(pair)
    const end = (): void => {
      this.#pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) socket.setNoDelay(true).on('error', end).on('close', end)
    near.on('data', (data) => {
      if (!far.write(data)) near.pause()
    })
    far.on('drain', () => near.resume())
    near.on('drain', () => far.resume())
    far.on('data', (data) => {
      if (this.#cutNext && data.length > 64) this.#cutWithin(pair, data)
      else if (!near.write(data)) far.pause()
    })
  }

  /** Half of it arrives, and then a reset at both ends. */
  #cutWithin(pair: Pair, data: Buffer): void {
    this.#cutNext = false
    this.#pairs.delete(pair)
    pair.far.pause()
    pair.near.write(data.subarray(0, data.length >> 1), () => {
      pair.near.resetAndDestroy()
      pair.far.resetAndDestroy()
    })
  }

  /** The next thing that the server says arrives by half. */
  cutInFrame(): void {
    this.#cutNext = this.#pairs.size > 0
  }

  reset(): void {
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy()
      far.resetAndDestroy()
    }
    this.#pairs.clear()
  }

  async close(): Promise<void> {
    this.reset()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
