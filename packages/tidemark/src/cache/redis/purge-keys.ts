import { isTidemarkError, TidemarkError } from '../../errors.js'
import type { PipelineResult, Redis, RedisCommand } from '../../redis/redis.js'
import type { Purge } from '../redis-tier.js'
import { companionKeys } from './companion-keys.js'
import { purgeScript } from './tier-scripts.js'

/** Keys of one script: few enough that others are not kept waiting. */
const keysPerScript = 64
/** Scripts that are under way at once: all have to be done within the time of one command. */
const scriptsPerWave = 64
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

/** Raises where any is not known to be gone; to purge twice does no harm. */
export const purgeKeys = async (redis: Redis, purges: readonly Purge[], fenceMs: number): Promise<void> => {
  const scripts: (readonly (string | number)[])[] = []
  for (let from = 0; from < purges.length; from += keysPerScript) {
    scripts.push(argumentsOf(purges.slice(from, from + keysPerScript), fenceMs))
  }
  for (let from = 0; from < scripts.length; from += scriptsPerWave) {
    await sendWave(redis, scripts.slice(from, from + scriptsPerWave))
  }
}
