import type { Redis } from '../../redis/redis.js'
import { replyError } from '../../redis/redis-error.js'
import { companionKeys } from './companion-keys.js'
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

const sendSome = async (
  redis: Redis,
  leases: readonly Lease[],
  leaseMs: number,
): Promise<readonly (readonly Buffer[] | Error)[]> => {
  const keys = leases.flatMap(({ key }) => {
    const { lease, fence } = companionKeys(key)
    return [key, lease, fence]
  })
  const args = [leaseMs, ...leases.flatMap(({ epoch, past, token }) => [epoch, past, token])]
  const answers = await redis.script<Buffer[][]>(leaseScript, keys, args, { buffers: true })
  return answers.map((answer) => (String(answer[0]) === 'failed' ? replyError(String(answer[1]), redis.target) : answer))
}

/** What the script answers to each. */
export const sendLeases = async (
  redis: Redis,
  leases: readonly Lease[],
  leaseMs: number,
): Promise<readonly (readonly Buffer[] | Error)[]> => {
  const sent: ReturnType<typeof sendSome>[] = []
  for (let from = 0; from < leases.length; from += leasesPerScript) {
    sent.push(sendSome(redis, leases.slice(from, from + leasesPerScript), leaseMs))
  }
  return (await Promise.all(sent)).flat()
}
