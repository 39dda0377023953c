/** One chat as Redis has it. Never raises: what cannot be read is rejected with its bytes. */
import { isStorable } from 'tidemark/app'
import { anonymousUser } from '../access.js'
import { messageIdOf, sessionIdOf, userIdOf } from '../legacy-ids.js'
import { isMetadataWithin, isWithin, limits, type Metadata } from '../limits.js'
import { cleanJson, cleanText } from '../storable.js'
import { cutTo } from './cut.js'
import { decodeUtf8 } from './decode-utf8.js'
import { parseMoment } from './moments.js'
import { parseMessage } from './parse-message.js'
import { countedOnly, type Note, type Parsed, type PlannedMessage, type Reason } from './plan.js'

/** A key and what it holds: the fields of a hash, or the text of a string. */
export interface RawChat {
  readonly key: string
  /** The key without `chat:` and what stands before. */
  readonly legacyId: string
  readonly hash: ReadonlyMap<string, Buffer> | undefined
  readonly text: Buffer | undefined
}

/** What the lists of users say of a chat. */
export interface Listing {
  readonly userId: string
  readonly score: string
}

class Rejection extends Error {
  readonly reason: Reason
  constructor(reason: Reason) {
    super(reason)
    this.reason = reason
  }
}

type Fields = Readonly<Record<string, unknown>>

const fieldsOf = ({ hash, text }: RawChat): Fields => {
  if (hash) {
    const entries = [...hash].map(([name, bytes]) => {
      const value = decodeUtf8(bytes)
      if (value === null) throw new Rejection('not_utf8')
      return [name, value] as const
    })
    return Object.fromEntries(entries)
  }
  const json = decodeUtf8(text ?? Buffer.alloc(0))
  if (json === null) throw new Rejection('not_utf8')
  const value = tryJson(json)
  if (typeof value !== 'object' || value === null || !('messages' in value)) throw new Rejection('wrong_type')
  return value as Fields
}

const tryJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A list, JSON of one, or JSON of its JSON. */
const listOf = (value: unknown): readonly unknown[] => {
  if (value === undefined) throw new Rejection('no_messages')
  let list: unknown = value
  for (let depth = 0; depth < 2 && typeof list === 'string'; depth += 1) {
    list = tryJson(list)
    if (list === undefined) throw new Rejection('broken_messages')
  }
  if (!Array.isArray(list)) throw new Rejection('messages_not_a_list')
  return list
}

const unquote = (value: unknown): string => (typeof value === 'string' ? value.replace(/^"(.*)"$/, '$1') : String(value ?? ''))

/** The names of a hash as bytes, so that nothing of a rejected chat is lost. */
const bytesOf = ({ hash, text }: RawChat): Buffer | null => {
  if (!hash) return text ?? null
  const fields = [...hash].map(([name, bytes]) => [name, decodeUtf8(bytes) ?? { base64: bytes.toString('base64') }])
  return Buffer.from(JSON.stringify(Object.fromEntries(fields)))
}

const parseMessages = (raw: RawChat, list: readonly unknown[], createdAt: Date, nowMs: number) => {
  const messages: PlannedMessage[] = []
  const notes: Note[] = []
  const taken = new Set<string>()
  list.forEach((element, index) => {
    const idOf = (legacyId: string | undefined): string => {
      const own = legacyId === undefined ? undefined : messageIdOf(raw.key, legacyId)
      return own === undefined || taken.has(own) ? messageIdOf(raw.key, index) : own
    }
    const { message, reasons } = parseMessage(element, { idOf, createdAt, nowMs })
    if (message) {
      messages.push(message)
      taken.add(message.id)
    }
    const bytes = Buffer.from(JSON.stringify(element) ?? '')
    const outcome = message ? 'changed' : 'rejected'
    for (const reason of reasons)
      notes.push({ key: raw.key, item: `[${index}]`, reason, outcome, bytes: countedOnly.has(reason) ? null : bytes })
  })
  return { messages, notes }
}

/** Everything else that the chat says, under one name. */
const metadataOf = (raw: RawChat, fields: Fields): Metadata => {
  const { id, title: _title, userId: _userId, createdAt: _createdAt, messages: _messages, ...rest } = fields
  const legacy = { ...rest, ...(unquote(id) !== raw.legacyId && id !== undefined && { id }) }
  return Object.keys(legacy).length === 0 ? {} : { legacy: cleanJson(legacy) }
}

const plan = (raw: RawChat, listings: readonly Listing[], nowMs: number): Parsed => {
  const fields = fieldsOf(raw)
  const list = listOf(fields['messages'])
  const own = unquote(fields['userId'])
  const owner = own === '' ? listings[0]?.userId : own
  if (owner === undefined || owner === '') throw new Rejection('no_owner')
  const given = parseMoment(fields['createdAt'], nowMs)
  const createdAt = given ?? parseMoment(listings[0]?.score, nowMs) ?? new Date(nowMs)
  const rawTitle = typeof fields['title'] === 'string' && fields['title'] !== '' ? fields['title'] : 'New chat'
  const title = cleanText(rawTitle)
  const metadata = metadataOf(raw, fields)
  const { messages, notes } = parseMessages(raw, list, createdAt, nowMs)

  const note = (item: string, reason: Reason, value: unknown): Note => ({
    key: raw.key,
    item,
    reason,
    outcome: 'changed',
    bytes: countedOnly.has(reason) ? null : Buffer.from(typeof value === 'string' ? value : (JSON.stringify(value) ?? '')),
  })
  const found: readonly (readonly [boolean, string, Reason, unknown])[] = [
    [!given, 'createdAt', 'time_guessed', fields['createdAt']],
    [title !== rawTitle, 'title', 'characters_replaced', rawTitle],
    [!isWithin(title, limits.titleLength), 'title', 'title_cut', rawTitle],
    [!isMetadataWithin(metadata), 'metadata', 'metadata_left_out', metadata],
    [listings.length === 0, '', 'not_listed', null],
    [listings.some(({ userId }) => userId !== owner), '', 'owner_differs', null],
    [owner === anonymousUser, '', 'anonymous_owner', null],
  ]
  return {
    kind: 'planned',
    chat: {
      key: raw.key,
      id: sessionIdOf(raw.legacyId),
      userId: userIdOf(owner),
      title: cutTo(title, limits.titleLength),
      metadata: isMetadataWithin(metadata) ? metadata : {},
      createdAt,
      messages,
      rejectedMessages: list.length - messages.length,
      notes: [...notes, ...found.flatMap(([holds, item, reason, value]) => (holds ? [note(item, reason, value)] : []))],
    },
  }
}

export const rejectChat = (key: string, reason: Reason, bytes: Buffer | null): Parsed => ({
  kind: 'rejected',
  chat: { key, notes: [{ key, item: '', reason, outcome: 'rejected', bytes }] },
})

export const parseChat = (raw: RawChat, listings: readonly Listing[], nowMs: number): Parsed => {
  try {
    if (Buffer.byteLength(raw.key) > 1024) throw new Rejection('key_too_long')
    if (!isStorable(raw.key)) throw new Rejection('unreadable')
    return plan(raw, listings, nowMs)
  } catch (error) {
    // Nested too deep, for one.
    return rejectChat(raw.key, error instanceof Rejection ? error.reason : 'unreadable', bytesOf(raw))
  }
}
