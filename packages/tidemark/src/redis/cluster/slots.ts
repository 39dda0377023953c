import { Command } from 'ioredis'
import type { Redis, RedisArgument, RedisCommand } from '../redis.js'

export const slotCount = 16_384

const asArgument = (arg: RedisArgument): string | Buffer =>
  arg instanceof Uint8Array ? Buffer.from(arg.buffer, arg.byteOffset, arg.byteLength) : String(arg)

/** The slot of a key: of what stands in its first pair of braces, where it has one that is not empty. */
export const slotOf = (key: RedisArgument): number => new Command('GET', [asArgument(key)]).getSlot() ?? 0

/**
 * The slot of a command's first key; undefined where it has none. A message has that of its channel: who listens does so at the same master,
 * and then hears no less than at a single server, while between masters a message may get lost without a word.
 */
export const slotOfCommand = ([name, ...args]: RedisCommand): number | undefined => {
  const word = name.toUpperCase()
  if (word === 'PUBLISH') return slotOf(args[0] ?? '')
  if (word === 'RANDOMKEY') return Math.floor(Math.random() * slotCount)
  return new Command(name, args.map(asArgument)).getSlot() ?? undefined
}

/** What may go together to a Redis: everything to a single server, and of a cluster what shares a slot. */
export const bySlot = <T>(
  { cluster }: Redis,
  items: readonly T[],
  keyOf: (item: T) => RedisArgument,
): readonly (readonly T[])[] => {
  if (!cluster || items.length < 2) return items.length === 0 ? [] : [items]
  const slots = new Map<number, T[]>()
  for (const item of items) {
    const slot = cluster.slotOf(keyOf(item))
    const known = slots.get(slot)
    if (known) known.push(item)
    else slots.set(slot, [item])
  }
  return [...slots.values()]
}

/** What was answered group by group, in the order of the items. */
export const inOrderOf = <T, A>(items: readonly T[], groups: readonly (readonly T[])[], answers: readonly A[]): readonly A[] => {
  if (groups.length < 2) return answers
  const found = new Map(groups.flat().map((item, at) => [item, answers[at]!]))
  return items.map((item) => found.get(item)!)
}

/** In their order, so many at a time. */
export const inParts = <T>(items: readonly T[], most: number): readonly (readonly T[])[] => {
  const parts: (readonly T[])[] = []
  for (let from = 0; from < items.length; from += most) parts.push(items.slice(from, from + most))
  return parts
}
