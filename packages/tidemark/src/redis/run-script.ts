import { isTidemarkError } from '../errors.js'
import type { LuaScript, RedisArgument, RedisCommand, RedisReply } from './redis.js'

const isUnknownScript = (error: unknown): boolean =>
  isTidemarkError(error, 'TM_REDIS_COMMAND') && String(error.parameters.reason).startsWith('NOSCRIPT')

/** EVALSHA, and EVAL where the server does not know the script: it was restarted, flushed, or never saw it. */
export const runScript = async <T extends RedisReply>(
  send: (command: RedisCommand) => Promise<T>,
  { lua, sha }: Pick<LuaScript, 'lua' | 'sha'>,
  keys: readonly RedisArgument[],
  args: readonly RedisArgument[],
): Promise<T> => {
  try {
    return await send(['EVALSHA', sha, keys.length, ...keys, ...args])
  } catch (error) {
    if (!isUnknownScript(error)) throw error
    return send(['EVAL', lua, keys.length, ...keys, ...args])
  }
}
