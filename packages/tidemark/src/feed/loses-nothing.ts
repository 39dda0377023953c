import type { FeedReset } from './feed.js'
import type { Position } from './position.js'

/**
 * Whether a follower that has been given everything up to `reached` misses nothing by this reset. What Redis held is lost or void then, and so is
 * what was derived from that; the feed itself goes on in the same history, no later than where the follower is.
 */
export const losesNothing = ({ reason, epoch, position }: FeedReset, reached: Position | undefined): boolean =>
  (reason === 'streamLost' || reason === 'purgesChanged') && reached?.epoch === epoch && position.number <= reached.number
