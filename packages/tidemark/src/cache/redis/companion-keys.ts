import type { Redis } from '../../redis/redis.js'

/** What stands beside a value: who loads it, and the changes that a load has to have seen. */
export interface CompanionKeys {
  readonly lease: string
  readonly fence: string
}

/** What Redis Cluster hashes in place of a whole key that has it: the text between its first brace and the next. */
const hashTag = /^[^{]*\{[^}]+\}/

/**
 * The names beside `key`, on the same slot of a cluster, and never those of another key's. A key that brings its own braces keeps them, with
 * the word in front: behind, an id such as `{x}:fence` could name it. (A key with `}` and no such pair has no companion on its slot.)
 */
export const companionKeys = (key: string): CompanionKeys =>
  hashTag.test(key) ? { lease: `~lease:${key}`, fence: `~fence:${key}` } : { lease: `{${key}}:lease`, fence: `{${key}}:fence` }

/** Whether value, lease and fence can be in one script: not those of a few odd keys of a cluster, which is then no place for them. */
export const canBeKept = ({ cluster }: Redis, key: string): boolean =>
  !cluster || cluster.slotOf(key) === cluster.slotOf(companionKeys(key).lease)
