/** Reads chats out of Redis: SCAN and never KEYS, some at a time, and nothing but reads. */
import type { Redis } from 'tidemark'
import { decodeUtf8 } from './decode-utf8.js'
import type { Listing, RawChat } from './parse-chat.js'

/** What stands before `chat:` and `user:v2:chat:` in every key. */
export interface Source {
  readonly redis: Redis
  readonly prefix: string
  readonly signal?: AbortSignal
}

/** Where this app's own caches are, should they be in the same Redis. */
const cacheFamilies = ['recent:', 'active:', 'messages:', 'viewers:']

const scanCount = 500

const escapeGlob = (text: string): string => text.replace(/[\\*?[\]^-]/g, '\\$&')

type Page = readonly [cursor: Buffer, items: readonly Buffer[]]

/** May give a key twice, as SCAN does. */
async function* scan({ redis, prefix, signal }: Source, family: string): AsyncGenerator<readonly Buffer[]> {
  let cursor = '0'
  do {
    signal?.throwIfAborted()
    const command = ['SCAN', cursor, 'MATCH', `${escapeGlob(prefix)}${family}*`, 'COUNT', scanCount] as const
    const [next, keys] = (await redis.command(command, { buffers: true })) as unknown as Page
    cursor = next.toString()
    yield keys
  } while (cursor !== '0')
}

async function* scanList({ redis, signal }: Source, key: Buffer): AsyncGenerator<readonly [member: Buffer, score: string]> {
  let cursor = '0'
  do {
    signal?.throwIfAborted()
    const [next, items] = (await redis.command(['ZSCAN', key, cursor, 'COUNT', scanCount], { buffers: true })) as unknown as Page
    cursor = next.toString()
    for (let index = 0; index + 1 < items.length; index += 2) yield [items[index]!, items[index + 1]!.toString()]
  } while (cursor !== '0')
}

const typesOf = async ({ redis }: Source, keys: readonly Buffer[]): Promise<readonly string[]> => {
  const results = await redis.pipeline(keys.map((key) => ['TYPE', key]))
  return results.map((result) => {
    if (!result.ok) throw result.error
    return String(result.value)
  })
}

export interface Lists {
  /** By the key of the chat. */
  readonly listings: ReadonlyMap<string, readonly Listing[]>
  /** How many lists, and how many entries in them. */
  readonly lists: number
  readonly entries: number
  /** Keys like a list's that hold something else. */
  readonly others: number
}

/** What the lists `user:v2:chat:{userId}` say. */
export const readLists = async (source: Source): Promise<Lists> => {
  const listings = new Map<string, Listing[]>()
  const seen = new Set<string>()
  const family = 'user:v2:chat:'
  let [lists, entries, others] = [0, 0, 0]
  for await (const page of scan(source, family)) {
    const fresh = page.filter((key) => !seen.has(key.toString('latin1')) && seen.add(key.toString('latin1')))
    const types = await typesOf(source, fresh)
    for (const [index, key] of fresh.entries()) {
      const name = decodeUtf8(key)
      if (types[index] !== 'zset' || name === null) {
        others += types[index] === 'none' ? 0 : 1
        continue
      }
      lists += 1
      const userId = name.slice(source.prefix.length + family.length)
      const members = new Map<string, string>()
      for await (const [member, score] of scanList(source, key))
        members.set(decodeUtf8(member) ?? member.toString('latin1'), score)
      entries += members.size
      for (const [member, score] of members) listings.set(member, [...(listings.get(member) ?? []), { userId, score }])
    }
  }
  return { listings, lists, entries, others }
}

export interface Keys {
  /** Hashes, and strings that may be JSON of a chat. */
  readonly chats: readonly { readonly key: string; readonly type: 'hash' | 'string' }[]
  /** Of this app's own caches. */
  readonly cacheKeys: number
  /** Keys like a chat's of another type, by the type; and such as are no UTF-8. */
  readonly others: readonly { readonly key: string; readonly type: string }[]
}

const isCacheKey = (name: string, prefix: string): boolean =>
  cacheFamilies.some((family) => name.startsWith(`${prefix}chat:${family}`))

/** The keys `chat:{id}`, each once. */
export const readKeys = async (source: Source): Promise<Keys> => {
  const seen = new Set<string>()
  const chats: { key: string; type: 'hash' | 'string' }[] = []
  const others: { key: string; type: string }[] = []
  let cacheKeys = 0
  for await (const page of scan(source, 'chat:')) {
    const fresh = page.filter((key) => !seen.has(key.toString('latin1')) && seen.add(key.toString('latin1')))
    const types = await typesOf(source, fresh)
    for (const [index, bytes] of fresh.entries()) {
      const [key, type] = [decodeUtf8(bytes), types[index] ?? 'none']
      if (type === 'none') continue
      if (key === null) others.push({ key: bytes.toString('latin1'), type: 'not UTF-8' })
      else if (type === 'hash') chats.push({ key, type })
      else if (isCacheKey(key, source.prefix)) cacheKeys += 1
      else if (type === 'string') chats.push({ key, type })
      else others.push({ key, type })
    }
  }
  return { chats, cacheKeys, others }
}

type ChatKey = Keys['chats'][number]

const batchChats = 100
const batchBytes = 8 * 1024 * 1024

/** In batches that stay small in memory, whatever the chats hold. A chat that is gone meanwhile is left out. */
export async function* readChats(source: Source, keys: readonly ChatKey[]): AsyncGenerator<readonly RawChat[]> {
  for (let start = 0; start < keys.length; start += batchChats) {
    source.signal?.throwIfAborted()
    const slice = keys.slice(start, start + batchChats)
    for (const part of await splitBySize(source, slice)) yield await fetchChats(source, part)
  }
}

const splitBySize = async ({ redis }: Source, keys: readonly ChatKey[]): Promise<readonly (readonly ChatKey[])[]> => {
  const sizes = await redis.pipeline(
    keys.map(({ key, type }) => (type === 'hash' ? ['HSTRLEN', key, 'messages'] : ['STRLEN', key])),
  )
  const parts: ChatKey[][] = [[]]
  let bytes = 0
  for (const [index, key] of keys.entries()) {
    const size = sizes[index]
    bytes += size?.ok ? Number(size.value) : 0
    if (bytes > batchBytes && parts.at(-1)!.length > 0) {
      parts.push([])
      bytes = size?.ok ? Number(size.value) : 0
    }
    parts.at(-1)!.push(key)
  }
  return parts
}

const fetchChats = async ({ redis, prefix }: Source, keys: readonly ChatKey[]): Promise<readonly RawChat[]> => {
  const results = await redis.pipeline(
    keys.map(({ key, type }) => (type === 'hash' ? ['HGETALL', key] : ['GET', key])),
    { buffers: true },
  )
  return keys.flatMap(({ key, type }, index): RawChat[] => {
    const result = results[index]!
    if (!result.ok) throw result.error
    const legacyId = key.slice(prefix.length + 'chat:'.length)
    if (type === 'string') return result.value === null ? [] : [{ key, legacyId, hash: undefined, text: result.value as Buffer }]
    const flat = result.value as readonly Buffer[]
    if (flat.length === 0) return []
    const hash = new Map<string, Buffer>()
    for (let at = 0; at + 1 < flat.length; at += 2) hash.set(flat[at]!.toString(), flat[at + 1]!)
    return [{ key, legacyId, hash, text: undefined }]
  })
}
