import type { Frame } from './frame.js'

/** Copying what is smaller costs less than a piece of its own in the kernel's list. */
const joinBelowBytes = 16_384
/** Joined pieces are not larger than this, but for single frames. */
const maxJoinedBytes = 65_536

/** The same bytes in few pieces. */
const join = (frames: readonly Frame[]): readonly Buffer[] => {
  const pieces: Buffer[] = []
  let group: Frame[] = []
  let groupBytes = 0
  const endGroup = (): void => {
    if (group.length > 0) pieces.push(group.length === 1 ? group[0]! : Buffer.concat(group, groupBytes))
    group = []
    groupBytes = 0
  }
  for (const frame of frames) {
    if (groupBytes + frame.length > maxJoinedBytes) endGroup()
    if (frame.length >= joinBelowBytes) {
      endGroup()
      pieces.push(frame)
      continue
    }
    group.push(frame)
    groupBytes += frame.length
  }
  endGroup()
  return pieces
}

const areSame = (a: readonly Frame[], b: readonly Frame[]): boolean =>
  a.length === b.length && a[0] === b[0] && a.every((frame, index) => frame === b[index])

/**
 * Joins the frames that leave for one client. Most clients of a turn are told the same: the last pieces are kept while the turn lasts, and
 * shared by all who get the very same frames.
 */
export class FrameJoiner {
  #frames: readonly Frame[] = []
  #pieces: readonly Buffer[] = []

  join(frames: readonly Frame[]): readonly Buffer[] {
    if (frames.length === 1) return frames
    if (areSame(frames, this.#frames)) return this.#pieces
    this.#frames = frames
    this.#pieces = join(frames)
    return this.#pieces
  }

  forget(): void {
    this.#frames = []
    this.#pieces = []
  }
}
