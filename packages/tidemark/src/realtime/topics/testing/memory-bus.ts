import type { Bus, BusListener } from '../bus.js'

/** One node's line to the others. */
export interface MemoryLine extends Bus {
  /** Nothing comes or goes any more, without a word, as of a process that was killed. */
  kill(): void
  /** Nothing comes or goes until `heal`; the node knows it where `seen`. */
  cut(seen: boolean): void
  heal(): void
  /** What comes is kept until `release`. */
  hold(): void
  release(): void
}

interface Line {
  listener: BusListener | undefined
  alive: boolean
  cut: boolean
  seen: boolean
  held: Buffer[] | undefined
}

/** A bus within a process that loses and holds back what it is told to. */
export const createMemoryBus = (): { connect(): MemoryLine } => {
  const lines = new Set<Line>()
  let time = 0
  const carries = (line: Line) => line.alive && !line.cut

  const deliver = (line: Line, frame: Buffer): void => {
    if (!carries(line)) return
    if (line.held) line.held.push(frame)
    else line.listener?.hear(frame)
  }

  const connect = (): MemoryLine => {
    const line: Line = { listener: undefined, alive: true, cut: false, seen: false, held: undefined }
    return {
      get open() {
        return line.listener !== undefined && !(line.cut && line.seen) && line.alive
      },
      start: async (listener) => {
        line.listener = listener
        lines.add(line)
        if (!(line.cut && line.seen)) listener.opened()
      },
      retry: () => {},
      send: async (frame) => {
        if (!carries(line)) throw new Error('the line is cut')
        for (const other of lines) deliver(other, Buffer.from(frame))
      },
      now: async () => ++time,
      stop: async () => void lines.delete(line),
      kill: () => {
        line.alive = false
        lines.delete(line)
      },
      cut: (seen) => {
        line.cut = true
        line.held = undefined
        line.seen = seen
        if (seen) line.listener?.closed()
      },
      heal: () => {
        if (!line.cut) return
        line.cut = false
        if (line.seen) line.listener?.opened()
      },
      hold: () => {
        line.held ??= []
      },
      release: () => {
        const held = line.held ?? []
        line.held = undefined
        for (const frame of held) deliver(line, frame)
      },
    }
  }
  return { connect }
}
