import { bySlot, inOrderOf, inParts } from '../../redis/cluster/slots.js'
import type { Redis } from '../../redis/redis.js'
import { replyError } from '../../redis/redis-error.js'
import { canBeKept, companionKeys } from './companion-keys.js'
import { leaseScript } from './tier-scripts.js'

/** Asks for the right to load a key. */
export interface Lease {
  readonly key: string
  /** As `epochDigest` gives it. */
  readonly epoch: string
  /** The id of a value that is not to be found. */
  readonly past: string
  readonly token: string
}

/** Few enough that others are not kept waiting, and that the values that are found fit one answer. */
const leasesPerScript = 64

type Answer = readonly Buffer[] | Error

const full: Answer = [Buffer.from('full')]

const sendSome = async (redis: Redis, leases: readonly Lease[], leaseMs: number): Promise<readonly Answer[]> => {
  if (!canBeKept(redis, leases[0]!.key)) return leases.map(() => full)
  const keys = leases.flatMap(({ key }) => {
    const { lease, fence } = companionKeys(key)
    return [key, lease, fence]
  })
  const args = [leaseMs, ...leases.flatMap(({ epoch, past, token }) => [epoch, past, token])]
  const answers = await redis.script<Buffer[][]>(leaseScript, keys, args, { buffers: true })
  return answers.map((answer) => (String(answer[0]) === 'failed' ? replyError(String(answer[1]), redis.target) : answer))
}

/** What the script answers to each; to a key that cannot be kept, that there is no room. */
export const sendLeases = async (redis: Redis, leases: readonly Lease[], leaseMs: number): Promise<readonly Answer[]> => {
  const groups = bySlot(redis, leases, ({ key }) => key).flatMap((group) => inParts(group, leasesPerScript))
  const sent = groups.map((group) => {
    const answers = sendSome(redis, group, leaseMs)
    return redis.cluster ? answers.catch((error: Error): readonly Answer[] => group.map(() => error)) : answers
  })
  return inOrderOf(leases, groups, (await Promise.all(sent)).flat())
}
