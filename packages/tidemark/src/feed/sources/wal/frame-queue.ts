/** A frame costs its object beside its bytes. */
const bytesPerFrame = 100
const keepalive = 'k'.charCodeAt(0)

export interface FrameQueueOptions {
  /** At so many bytes the flow is stopped, at half of it let on again. */
  readonly maxBytes: number
  readonly pause: () => void
  readonly resume: () => void
}

/** Frames that came and were not consumed: bounded, because a full queue stops the socket. */
export class FrameQueue {
  readonly #options: FrameQueueOptions
  #frames: (Buffer | undefined)[] = []
  /** Index of the first frame that was not consumed. */
  #head = 0
  #bytes = 0
  #paused = false
  #failure: { readonly error: unknown } | undefined
  #wake: (() => void) | undefined

  constructor(options: FrameQueueOptions) {
    this.#options = options
  }

  get paused(): boolean {
    return this.#paused
  }

  get bytes(): number {
    return this.#bytes
  }

  push(frame: Buffer): void {
    const last = this.#frames.length - 1
    // Of keepalives in a row only the last one says something.
    if (frame[0] === keepalive && last >= this.#head && this.#frames[last]?.[0] === keepalive) {
      this.#frames[last] = frame
      return
    }
    this.#frames.push(frame)
    this.#bytes += frame.length + bytesPerFrame
    if (!this.#paused && this.#bytes >= this.#options.maxBytes) {
      this.#paused = true
      this.#options.pause()
    }
    this.wake()
  }

  /** The first frame, which stays. */
  peek(): Buffer | undefined {
    return this.#frames[this.#head]
  }

  /** Takes the first frame away. */
  shift(): void {
    const frame = this.#frames[this.#head]
    if (frame === undefined) return
    this.#bytes -= frame.length + bytesPerFrame
    this.#frames[this.#head] = undefined
    this.#head += 1
    if (this.#head === this.#frames.length) {
      this.#frames = []
      this.#head = 0
    } else if (this.#head >= 4096) {
      this.#frames = this.#frames.slice(this.#head)
      this.#head = 0
    }
    if (this.#paused && this.#bytes <= this.#options.maxBytes / 2) {
      this.#paused = false
      this.#options.resume()
    }
  }

  /** Nothing more comes. What is queued is still given. */
  fail(error: unknown): void {
    this.#failure ??= { error }
    this.wake()
  }

  /** Lets whoever waits look again. */
  wake(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  /** Resolves at the next {@link wake}; raises what the queue failed with, once it is empty. */
  async more(): Promise<void> {
    this.#raise()
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.#raise()
  }

  #raise(): void {
    if (this.#failure && this.peek() === undefined) throw this.#failure.error
  }
}
