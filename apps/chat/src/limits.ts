/** The documented limits, and the checks that hold them before Postgres does. */
import { isStorable } from 'tidemark/app'
import { ChatError } from './chat-error.js'

export const limits = {
  /** Characters as Postgres counts them: code points. */
  contentLength: 100_000,
  titleLength: 200,
  clientMessageIdLength: 128,
  /** Of metadata as JSON. */
  metadataBytes: 16_384,
  page: 50,
  largestPage: 200,
  /** How long a deleted chat can be taken back. */
  undoMs: 30 * 24 * 60 * 60_000,
} as const

export type Metadata = Readonly<Record<string, unknown>>

/** Whether the text has at most that many code points. */
export const isWithin = (text: string, most: number): boolean => {
  // A code point is one or two units: only between the two do they have to be counted.
  if (text.length <= most) return true
  if (text.length > most * 2) return false
  let points = 0
  for (const _point of text) points += 1
  return points <= most
}

const requireText = (name: string, text: string, most: number): void => {
  if (!isWithin(text, most)) throw new ChatError('CHAT_INVALID', `${name} has at most ${most.toLocaleString('en')} characters.`)
  if (!isStorable(text)) throw new ChatError('CHAT_INVALID', `${name} holds a character that cannot be kept.`)
}

export const requireContent = (content: string): void => {
  if (content === '') throw new ChatError('CHAT_INVALID', 'content is empty.')
  requireText('content', content, limits.contentLength)
}

export const requireTitle = (title: string): void => requireText('title', title, limits.titleLength)

export const requireClientMessageId = (id: string): void => {
  if (id === '') throw new ChatError('CHAT_INVALID', 'client_message_id is empty.')
  requireText('client_message_id', id, limits.clientMessageIdLength)
}

/** Postgres writes large and small numbers out, digit by digit; this stands in for one of them and is no shorter. */
const writtenOut = (_name: string, value: unknown): unknown => {
  const [, exponent] = typeof value === 'number' ? (/e[+-](\d+)$/.exec(String(value)) ?? []) : []
  return exponent === undefined ? value : '0'.repeat(Number(exponent) + 20)
}

/** Postgres writes JSON with a space after each colon and comma, and counts that. */
const writtenBytes = (value: unknown): number => {
  const lines = JSON.stringify(value, writtenOut, 1)
  return Buffer.byteLength(lines.replace(/\n *(?=[\]}])|(?<=[[{])\n */g, '').replace(/\n */g, ' '))
}

export const isMetadataWithin = (metadata: Metadata): boolean => writtenBytes(metadata) <= limits.metadataBytes

export const requireMetadata = (metadata: Metadata): void => {
  if (!isMetadataWithin(metadata))
    throw new ChatError('CHAT_INVALID', `metadata has at most ${limits.metadataBytes.toLocaleString('en')} bytes.`)
  if (!isStorable(metadata)) throw new ChatError('CHAT_INVALID', 'metadata holds a character that cannot be kept.')
}

export const requirePage = (limit: number): void => {
  if (!Number.isInteger(limit) || limit < 1 || limit > limits.largestPage)
    throw new ChatError('CHAT_INVALID', `limit is a whole number from 1 to ${limits.largestPage}.`)
}
