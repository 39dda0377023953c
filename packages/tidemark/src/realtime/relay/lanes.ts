import type { RelayMessage } from './relay.js'

/** Batches that are sent one after the other. */
export type Lane = readonly (readonly RelayMessage[])[]

/**
 * Spreads messages over lanes that are sent side by side: all of one channel are in one lane, in their order. A lane is cut into batches, which
 * hold what came together.
 */
export const planLanes = (messages: readonly RelayMessage[], most: number, maxBatch: number): readonly Lane[] => {
  const lanes: RelayMessage[][] = []
  const laneOf = new Map<string, RelayMessage[]>()
  for (const message of messages) {
    const lane = laneOf.get(message.channel) ?? laneFor(lanes, most, maxBatch)
    laneOf.set(message.channel, lane)
    lane.push(message)
  }
  return lanes.map((lane) => batches(lane, maxBatch))
}

/** The one with the least work; another one only when each has a full batch: a request for one message costs as much as for ten. */
const laneFor = (lanes: RelayMessage[][], most: number, maxBatch: number): RelayMessage[] => {
  const [shortest] = lanes.toSorted((a, b) => a.length - b.length)
  if (shortest && (shortest.length < maxBatch || lanes.length >= most)) return shortest
  const lane: RelayMessage[] = []
  lanes.push(lane)
  return lane
}

const batches = (lane: readonly RelayMessage[], maxBatch: number): Lane =>
  Array.from({ length: Math.ceil(lane.length / maxBatch) }, (_, n) => lane.slice(n * maxBatch, (n + 1) * maxBatch))
