import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { RedisValue } from './redis-tier.js'
import type { ValueCipher } from './value-cipher.js'
import { readValue, writeValue } from './written-value.js'

/*
 * A value as it stands in Redis:
 *
 *   0   "tmk1"     what it is, and the version of this layout
 *   4   epoch      16 hex digits, of a digest
 *   20  id         16 characters
 *   36  flags      1: structured, 2: encrypted
 *   37  loaded at  wall time in milliseconds
 *   44  fresh for  milliseconds from then
 *   51  kept for   milliseconds from then
 *   58  as of      a number of 64 bits
 *   68  content    3: bytes of tags, tags as JSON, value; sealed where encrypted
 *       checksum   5, of all before it; not where encrypted
 *
 * Numbers have seven bits a byte, so that a frame whose value is JSON is text: drivers that carry no bytes send it as it is.
 */
const magic = 'tmk1'
const idAt = 20
const flagsAt = 36
const loadedAt = 37
const freshAt = 44
const keptAt = 51
const asOfAt = 58
const headBytes = 68
const timeWidth = 7
const halfWidth = 5
const halfBits = 35n
const tagsWidth = 3
const checksumWidth = 5

const structured = 1
const encrypted = 2

/** More than a frame can tell, some 17,000 years, is that. */
export const longestMs = 2 ** (7 * timeWidth) - 1
const largestTags = 2 ** (7 * tagsWidth) - 1
const largestAsOf = 2n ** 64n - 1n
const noTags: readonly string[] = Object.freeze([])

/** Where the id of a value begins; the epoch of {@link epochDigest} stands right before it. */
export const epochAndIdRange = { from: 4, to: flagsAt - 1 } as const
/** Characters of an id. */
export const idLength = flagsAt - idAt

/** The epoch as a frame has it: short, and of no meaning. */
export const epochDigest = (epoch: string): string => createHash('sha256').update(epoch).digest('hex').slice(0, 16)

/** What a frame is made of. Times as of now. */
export interface FrameContent {
  readonly value: unknown
  readonly plain: boolean
  readonly ageMs: number
  readonly freshForMs: number
  readonly keptForMs: number
  readonly asOf: bigint
  readonly tags: readonly string[]
}

/** Where a frame stands, and who reads and writes it. */
export interface FramePlace {
  readonly key: string
  /** Of {@link epochDigest}. */
  readonly epoch: string
  /** Values are sealed where there is one, and only sealed ones are read. */
  readonly cipher: ValueCipher | undefined
  readonly nowMs: number
}

const writeNumber = (buffer: Buffer, at: number, width: number, value: number): void => {
  let rest = value
  for (let i = at + width - 1; i >= at; i--) {
    buffer[i] = rest % 128
    rest = Math.floor(rest / 128)
  }
}

const readNumber = (buffer: Buffer, at: number, width: number): number => {
  let value = 0
  for (let i = at; i < at + width; i++) value = value * 128 + buffer[i]!
  return value
}

const time = (ms: number): number => Math.min(longestMs, Math.max(0, Math.floor(ms)))

const writeHead = (frame: Buffer, id: string, flags: number, content: FrameContent, { epoch, nowMs }: FramePlace): void => {
  frame.write(`${magic}${epoch}${id}`, 0, 'latin1')
  frame[flagsAt] = flags
  const asOf = content.asOf < 0n ? 0n : content.asOf > largestAsOf ? largestAsOf : content.asOf
  writeNumber(frame, loadedAt, timeWidth, time(nowMs - content.ageMs))
  writeNumber(frame, freshAt, timeWidth, time(content.freshForMs + content.ageMs))
  writeNumber(frame, keptAt, timeWidth, time(content.keptForMs + content.ageMs))
  writeNumber(frame, asOfAt, halfWidth, Number(asOf >> halfBits))
  writeNumber(frame, asOfAt + halfWidth, halfWidth, Number(BigInt.asUintN(Number(halfBits), asOf)))
}

const placeOf = (head: Buffer, key: string): Buffer => Buffer.concat([head, Buffer.from(key)])

/** Undefined where the value is of a kind that cannot be written down. */
export const writeFrame = (id: string, content: FrameContent, place: FramePlace): Buffer | undefined => {
  const written = writeValue(content.value, content.plain)
  const tags = content.tags.length === 0 ? '' : JSON.stringify(content.tags)
  const tagsBytes = Buffer.byteLength(tags)
  if (written === undefined || tagsBytes > largestTags) return undefined
  const flags = (written.form === 'structured' ? structured : 0) | (place.cipher ? encrypted : 0)
  const valueAt = headBytes + tagsWidth + tagsBytes
  const contentEnd = valueAt + written.length
  const frame = Buffer.allocUnsafe(contentEnd + checksumWidth)
  writeHead(frame, id, flags, content, place)
  writeNumber(frame, headBytes, tagsWidth, tagsBytes)
  frame.write(tags, headBytes + tagsWidth, 'utf8')
  if (written.form === 'json') frame.write(written.text, valueAt, 'utf8')
  else written.bytes.copy(frame, valueAt)
  if (place.cipher) {
    const head = frame.subarray(0, headBytes)
    return Buffer.concat([head, place.cipher.seal(frame.subarray(headBytes, contentEnd), placeOf(head, place.key))])
  }
  writeNumber(frame, contentEnd, checksumWidth, crc32(frame.subarray(0, contentEnd)))
  return frame
}

/** Undefined where the content is not what was written. */
const readContent = (frame: Buffer, { key, cipher }: FramePlace): Buffer | undefined => {
  if (cipher) return cipher.open(frame.subarray(headBytes), placeOf(frame.subarray(0, headBytes), key))
  const end = frame.length - checksumWidth
  const intact = crc32(frame.subarray(0, end)) === readNumber(frame, end, checksumWidth)
  return intact ? frame.subarray(headBytes, end) : undefined
}

const readTags = (content: Buffer, end: number): readonly string[] =>
  end === tagsWidth ? noTags : (Object.freeze(JSON.parse(content.toString('utf8', tagsWidth, end))) as readonly string[])

/** The value of a frame; undefined where it is none, is damaged, of another epoch, past its time, or sealed where it should not be. */
export const readFrame = (frame: Buffer, place: FramePlace): RedisValue | undefined => {
  if (frame.length < headBytes + tagsWidth + checksumWidth) return undefined
  if (frame.toString('latin1', 0, idAt) !== magic + place.epoch) return undefined
  const flags = frame[flagsAt]!
  if (flags > (structured | encrypted) || flags >= encrypted !== (place.cipher !== undefined)) return undefined
  // Whoever's clock is behind the writer's must not take the value for younger than new.
  const ageMs = Math.max(0, place.nowMs - readNumber(frame, loadedAt, timeWidth))
  const keptForMs = readNumber(frame, keptAt, timeWidth) - ageMs
  if (keptForMs <= 0) return undefined
  try {
    const content = readContent(frame, place)
    if (content === undefined) return undefined
    const tagsEnd = tagsWidth + readNumber(content, 0, tagsWidth)
    const plain = (flags & structured) === 0
    return {
      value: readValue(plain ? 'json' : 'structured', content.subarray(tagsEnd)),
      plain,
      id: frame.toString('latin1', idAt, flagsAt),
      bytes: frame.length,
      ageMs,
      freshForMs: readNumber(frame, freshAt, timeWidth) - ageMs,
      keptForMs,
      asOf: (BigInt(readNumber(frame, asOfAt, halfWidth)) << halfBits) | BigInt(readNumber(frame, asOfAt + halfWidth, halfWidth)),
      tags: readTags(content, tagsEnd),
    }
  } catch {
    return undefined
  }
}

/** What stands before the content, which anybody can read. */
export interface FrameHead {
  /** As {@link epochDigest} gives it. */
  readonly epoch: string
  readonly isEncrypted: boolean
  readonly ageMs: number
  readonly freshForMs: number
  readonly keptForMs: number
  readonly asOf: bigint
}

/** Undefined where it is no frame. */
export const readHead = (frame: Buffer, nowMs: number): FrameHead | undefined => {
  if (frame.length < headBytes || frame.toString('latin1', 0, magic.length) !== magic) return undefined
  const ageMs = Math.max(0, nowMs - readNumber(frame, loadedAt, timeWidth))
  return {
    epoch: frame.toString('latin1', epochAndIdRange.from, idAt),
    isEncrypted: frame[flagsAt]! >= encrypted,
    ageMs,
    freshForMs: readNumber(frame, freshAt, timeWidth) - ageMs,
    keptForMs: readNumber(frame, keptAt, timeWidth) - ageMs,
    asOf: (BigInt(readNumber(frame, asOfAt, halfWidth)) << halfBits) | BigInt(readNumber(frame, asOfAt + halfWidth, halfWidth)),
  }
}
