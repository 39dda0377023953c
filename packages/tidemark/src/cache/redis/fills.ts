import { parseSnapshot } from '../../feed/sources/wal/snapshot.js'
import { bySlot, inOrderOf } from '../../redis/cluster/slots.js'
import type { Redis } from '../../redis/redis.js'
import { replyError } from '../../redis/redis-error.js'
import { companionKeys } from './companion-keys.js'
import type { FillAnswer, LoadStamp } from './redis-tier.js'
import { fillScript } from './tier-scripts.js'

/** A value to be stored. */
export interface Fill {
  readonly key: string
  readonly token: string
  readonly frame: Buffer
  readonly keptForMs: number
  readonly stamp: LoadStamp | null
}

const fillsPerScript = 64
/** Where one frame is larger it goes alone. */
const bytesPerScript = 256 * 1024

/** A snapshot as the script takes it apart: xmin, xmax, whose it is, and the running ones between commas. */
const stampArgument = (stamp: LoadStamp | null): string => {
  if (stamp === null) return ''
  const { xmin, xmax, inProgress } = parseSnapshot(stamp.snapshot)
  return `${xmin} ${xmax} ${stamp.standby ? 'standby' : 'primary'} ,${[...inProgress].join(',')},`
}

const isAnswer = (word: string): word is FillAnswer => word === 'stored' || word === 'refused' || word === 'full'

const sendSome = async (redis: Redis, fills: readonly Fill[], fenceMs: number): Promise<readonly (FillAnswer | Error)[]> => {
  const keys = fills.flatMap(({ key }) => {
    const { lease, fence } = companionKeys(key)
    return [key, lease, fence]
  })
  const args = fills.flatMap(({ token, frame, keptForMs, stamp }) => [token, frame, keptForMs, stampArgument(stamp)])
  const words = await redis.script<string[]>(fillScript, keys, [fenceMs, ...args])
  return words.map((word) => (isAnswer(word) ? word : replyError(word, redis.target)))
}

const inScripts = (fills: readonly Fill[]): readonly (readonly Fill[])[] => {
  const scripts: Fill[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const fill of fills) {
    bytes += fill.frame.length
    if (bytes > bytesPerScript || scripts.at(-1)!.length === fillsPerScript) {
      scripts.push([])
      bytes = fill.frame.length
    }
    scripts.at(-1)!.push(fill)
  }
  return scripts
}

/** What became of each. A script that failed is the failure of its own fills alone. */
export const sendFills = async (
  redis: Redis,
  fills: readonly Fill[],
  fenceMs: number,
): Promise<readonly (FillAnswer | Error)[]> => {
  const groups = bySlot(redis, fills, ({ key }) => key).flatMap(inScripts)
  const sent = groups.map((some) =>
    sendSome(redis, some, fenceMs).catch((error: Error): readonly (FillAnswer | Error)[] => some.map(() => error)),
  )
  return inOrderOf(fills, groups, (await Promise.all(sent)).flat())
}
