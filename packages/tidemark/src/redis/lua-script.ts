import { createHash } from 'node:crypto'
import type { LuaScript } from './redis.js'

/** A Lua script with its digest. Declare every key it touches in KEYS; name it for errors and metrics. */
export const defineScript = (name: string, lua: string): LuaScript => ({
  name,
  lua,
  sha: createHash('sha1').update(lua).digest('hex'),
})
