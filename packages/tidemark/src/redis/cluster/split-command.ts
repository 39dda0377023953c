import type { RedisArgument, RedisCommand, RedisReply } from '../redis.js'
import { slotOf } from './slots.js'

const summed = new Set(['DEL', 'UNLINK', 'EXISTS', 'TOUCH'])

export interface SplitCommand {
  readonly parts: readonly RedisCommand[]
  /** The reply to the whole, of the replies to the parts. */
  join(replies: readonly RedisReply[]): RedisReply
}

/** One command for each slot, where keys of several are asked for that have nothing to do with each other; else nothing. */
export const splitCommand = ([name, ...keys]: RedisCommand): SplitCommand | undefined => {
  const word = name.toUpperCase()
  if (keys.length < 2 || !(word === 'MGET' || summed.has(word))) return undefined
  const slots = new Map<number, { readonly keys: RedisArgument[]; readonly places: number[] }>()
  for (const [place, key] of keys.entries()) {
    const slot = slotOf(key)
    const part = slots.get(slot) ?? { keys: [], places: [] }
    part.keys.push(key)
    part.places.push(place)
    slots.set(slot, part)
  }
  if (slots.size === 1) return undefined
  const parts = [...slots.values()]
  return {
    parts: parts.map((part) => [name, ...part.keys] as const),
    join: (replies) => {
      if (word !== 'MGET') return replies.reduce<number>((sum, reply) => sum + Number(reply), 0)
      const values: RedisReply[] = new Array<RedisReply>(keys.length).fill(null)
      for (const [n, { places }] of parts.entries()) {
        const found = replies[n] as readonly RedisReply[]
        for (const [at, place] of places.entries()) values[place] = found[at] ?? null
      }
      return values
    },
  }
}
