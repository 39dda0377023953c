import { describe, expect, it } from 'vitest'
import type { NodeFollower } from '../../server/feed/feed.js'
import { lagText } from './feed-text.js'

const textOf = (follower: Partial<NodeFollower>): string =>
  lagText({
    node: {
      role: 'reading',
      epoch: 'e',
      streamEpoch: null,
      problem: null,
      freshnessMs: 5,
      followers: [{ name: 'mail', state: 'running', queuedBytes: 0, workingMs: 0, failures: 0, lastError: null, ...follower }],
    },
    slots: [],
    outbox: [],
    followers: [],
    stream: null,
  })

describe('the lag of the feed in words', () => {
  it('names the follower that the feed waits for, and one that fails or is long at work', () => {
    expect(textOf({ state: 'holding', queuedBytes: 16 * 1024 ** 2, workingMs: 180_000 })).toContain(
      'The feed waits for mail: its queue is full (16.0 MiB wait for it), at one piece for 3 min 0 s.',
    )
    expect(textOf({ state: 'failing', queuedBytes: 5, failures: 3, lastError: 'no route' })).toContain(
      'mail fails (5 B wait for it), failed 3 times: no route.',
    )
    expect(textOf({ workingMs: 9_000, queuedBytes: 10 })).toContain('mail is at one piece for 9.0 s (10 B wait for it).')
    expect(textOf({ workingMs: 100 })).not.toContain('mail')
  })
})
