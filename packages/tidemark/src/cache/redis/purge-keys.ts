import { isTidemarkError, TidemarkError } from '../../errors.js'
import { bySlot, inParts } from '../../redis/cluster/slots.js'
import type { PipelineResult, Redis, RedisCommand } from '../../redis/redis.js'
import { canBeKept, companionKeys } from './companion-keys.js'
import type { Purge } from './redis-tier.js'
import { purgeScript } from './tier-scripts.js'

/** Keys of one script: few enough that others are not kept waiting. */
const keysPerScript = 64
/** Keys of the scripts that are under way at once: all have to be done within the time of one command. */
const keysPerWave = 64 * keysPerScript
/** Ids that stand on one key one by one. */
const idsPerFence = 64

const decimal = /^(?:0|[1-9]\d{0,19})$/

/** An id that is none would let any later load pass. */
const checkId = (xid: string | null): string => {
  if (xid === null || decimal.test(xid)) return xid ?? ''
  throw new TidemarkError('TM_INTERNAL', { reason: `"${xid.slice(0, 40)}" is no transaction id` })
}

const argumentsOf = (purges: readonly Purge[], fenceMs: number): readonly (string | number)[] => [
  purges.length * 3,
  ...purges.flatMap(({ key }) => {
    const { lease, fence } = companionKeys(key)
    return [key, lease, fence]
  }),
  fenceMs,
  idsPerFence,
  ...purges.map(({ xid }) => checkId(xid)),
]

const isUnknownScript = (result: PipelineResult): boolean =>
  !result.ok && isTidemarkError(result.error, 'TM_REDIS_COMMAND') && String(result.error.parameters.reason).startsWith('NOSCRIPT')

const throwRefused = (results: readonly PipelineResult[]): void => {
  for (const result of results) if (!result.ok) throw result.error
}

const sendWave = async (redis: Redis, wave: readonly (readonly (string | number)[])[]): Promise<void> => {
  const command = (name: string, script: string, args: readonly (string | number)[]): RedisCommand => [name, script, ...args]
  const results = await redis.pipeline(wave.map((args) => command('EVALSHA', purgeScript.sha, args)))
  const unknown = wave.filter((_args, index) => isUnknownScript(results[index]!))
  throwRefused(results.filter((result) => !isUnknownScript(result)))
  if (unknown.length > 0) throwRefused(await redis.pipeline(unknown.map((args) => command('EVAL', purgeScript.lua, args))))
}

/** So many scripts that all of them have about as many keys as one full wave. */
const inWaves = (scripts: readonly (readonly Purge[])[]): readonly (readonly (readonly Purge[])[])[] => {
  const waves: (readonly Purge[])[][] = []
  let keys = Number.POSITIVE_INFINITY
  for (const script of scripts) {
    keys += script.length
    if (keys > keysPerWave) {
      waves.push([])
      keys = script.length
    }
    waves.at(-1)!.push(script)
  }
  return waves
}

/** Raises where any is not known to be gone; to purge twice does no harm. */
export const purgeKeys = async (redis: Redis, purges: readonly Purge[], fenceMs: number): Promise<void> => {
  const kept = redis.cluster ? purges.filter(({ key }) => canBeKept(redis, key)) : purges
  const scripts = bySlot(redis, kept, ({ key }) => key).flatMap((group) => inParts(group, keysPerScript))
  for (const wave of inWaves(scripts)) {
    await sendWave(
      redis,
      wave.map((some) => argumentsOf(some, fenceMs)),
    )
  }
}
