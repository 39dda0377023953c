/** What carries frames to all nodes, this one included. */
export interface Bus {
  /** Whether frames can be sent now. */
  readonly open: boolean
  /** Calls `hear` for each frame of every node, and `opened` and `closed` as it goes. Resolves when the first attempt to open has ended. */
  start(listener: BusListener): Promise<void>
  /** Tries again to open, where it is not. */
  retry(): void
  /** Resolves when the frame was taken. Raises where it was not, or nobody knows. */
  send(frame: Buffer): Promise<void>
  /** Microseconds on a clock that all nodes share. */
  now(): Promise<number>
  stop(): Promise<void>
}

export interface BusListener {
  hear(frame: Buffer): void
  opened(): void
  closed(): void
}
