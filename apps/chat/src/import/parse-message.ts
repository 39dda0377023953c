/** One element of a chat's list of messages. */
import { isStorable } from 'tidemark/app'
import { isMetadataWithin, isWithin, limits, type Metadata } from '../limits.js'
import type { Role } from '../rows.js'
import { cleanJson, cleanText } from '../storable.js'
import { cutTo } from './cut.js'
import { parseMoment } from './moments.js'
import type { PlannedMessage, Reason } from './plan.js'

export interface MessageContext {
  /** Gives the message its id here: by its own, or by its place. */
  readonly idOf: (legacyId: string | undefined) => string
  /** The chat's, for a message without a time of its own. */
  readonly createdAt: Date
  readonly nowMs: number
}

export interface ParsedMessage {
  /** Undefined where it is rejected; the reason is the only one. */
  readonly message: PlannedMessage | undefined
  readonly reasons: readonly Reason[]
}

const roles: Readonly<Record<string, Role>> = {
  user: 'user',
  assistant: 'assistant',
  system: 'system',
  tool: 'tool',
  // What tools answered was called so before.
  function: 'tool',
  human: 'user',
  ai: 'assistant',
  bot: 'assistant',
  model: 'assistant',
}

interface Content {
  readonly text: string
  /** True where the text does not say all that was there. */
  readonly isPartial: boolean
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Parts of text one after the other; what is no text stays in the metadata. */
const ofParts = (parts: readonly unknown[]): Content => {
  const texts = parts.map((part) => {
    if (typeof part === 'string') return part
    return isObject(part) && part['type'] === 'text' && typeof part['text'] === 'string' ? part['text'] : null
  })
  return { text: texts.join(''), isPartial: texts.length !== 1 || texts.includes(null) }
}

const contentOf = ({ content, parts }: Readonly<Record<string, unknown>>): Content | undefined => {
  if (typeof content === 'string' && content !== '') return { text: content, isPartial: false }
  if (Array.isArray(content)) return ofParts(content)
  if (content !== undefined && content !== null && content !== '') return undefined
  // A call of a tool has no words of its own.
  return Array.isArray(parts) ? ofParts(parts) : { text: '', isPartial: false }
}

/** Everything else that the message says, under one name. */
const metadataOf = (raw: Readonly<Record<string, unknown>>, role: string, content: Content): Metadata => {
  const { role: _role, content: rawContent, createdAt: _createdAt, created_at: _created, ...rest } = raw
  const legacy = {
    ...rest,
    ...(role !== raw['role'] && { role: raw['role'] }),
    ...(content.isPartial && Array.isArray(rawContent) && { content: rawContent }),
  }
  return Object.keys(legacy).length === 0 ? {} : { legacy }
}

const rejected = (reason: Reason): ParsedMessage => ({ message: undefined, reasons: [reason] })

const timeOf = (raw: Readonly<Record<string, unknown>>, { createdAt, nowMs }: MessageContext) => {
  const given = raw['createdAt'] ?? raw['created_at']
  const moment = parseMoment(given, nowMs)
  return { moment: moment ?? createdAt, isGuessed: given !== undefined && given !== null && moment === undefined }
}

export const parseMessage = (raw: unknown, context: MessageContext): ParsedMessage => {
  if (!isObject(raw)) return rejected('message_not_an_object')
  const role = typeof raw['role'] === 'string' && Object.hasOwn(roles, raw['role']) ? roles[raw['role']] : undefined
  if (role === undefined) return rejected('unknown_role')
  const content = contentOf(raw)
  if (!content) return rejected('content_unreadable')

  const clean = cleanText(content.text)
  const fits = isWithin(clean, limits.contentLength)
  const rawMetadata = metadataOf(raw, role, content)
  const metadata = cleanJson(rawMetadata) as Metadata
  const metadataFits = isMetadataWithin(metadata)
  const { moment, isGuessed } = timeOf(raw, context)
  const legacyId = typeof raw['id'] === 'string' && raw['id'] !== '' ? raw['id'] : undefined
  const found: readonly (readonly [boolean, Reason])[] = [
    [role !== raw['role'], 'role_mapped'],
    [clean !== content.text || !isStorable(rawMetadata), 'characters_replaced'],
    [!fits, 'content_cut'],
    [!metadataFits, 'metadata_left_out'],
    [isGuessed, 'time_guessed'],
  ]
  return {
    message: {
      id: context.idOf(legacyId),
      role,
      content: fits ? clean : cutTo(clean, limits.contentLength),
      metadata: metadataFits ? metadata : {},
      createdAt: moment,
    },
    reasons: found.flatMap(([holds, reason]) => (holds ? [reason] : [])),
  }
}
