import type { Json, TopicMessage } from '../realtime.js'

/**
 * What nodes send each other, over one channel that all of them hear:
 *
 * version (1) · node (8) · number (6) · entries, each: 0 · length (4) · a record as JSON
 *                                              or: 1 · topic (2) · except (2) · body (4), the three lengths · topic · except · body
 *
 * The numbers of a node's frames have no holes: whoever sees one has missed something.
 */
export interface Frame {
  /** In hex. */
  readonly node: string
  readonly number: number
  readonly entries: readonly Entry[]
}

export type Entry = { readonly record: NodeRecord } | { readonly message: TopicMessage }

/** One appearance came; without a key it left. */
export type MemberEntry = readonly [topic: string, ref: string, key?: string, payload?: Json]
export type CountEntry = readonly [topic: string, count: number]

export type NodeRecord =
  /** Sent every second. `born`: who is the oldest tells what is told once. `tells`: it does so already. */
  | { readonly type: 'beat'; readonly born: number; readonly tells: boolean }
  /** Wants to know all of one node, or of every one. */
  | { readonly type: 'ask'; readonly of: string | null }
  | { readonly type: 'change'; readonly members: readonly MemberEntry[]; readonly counts: readonly CountEntry[] }
  /** A piece of all that the node says of itself. Between the first and the last of one state comes nothing else of that node. */
  | {
      readonly type: 'state'
      readonly first: boolean
      readonly last: boolean
      readonly members: readonly MemberEntry[]
      readonly counts: readonly CountEntry[]
    }
  | { readonly type: 'bye' }

const version = 1
const headerBytes = 15

/** 65,535 bytes at most of a topic or a listener's id. */
const maxNameBytes = 0xffff

const encodeRecord = (record: NodeRecord): Buffer => {
  const json = Buffer.from(JSON.stringify(record))
  const head = Buffer.allocUnsafe(5)
  head.writeUInt8(0, 0)
  head.writeUInt32BE(json.length, 1)
  return Buffer.concat([head, json])
}

const encodeMessage = ({ topic, except = '', body }: TopicMessage): Buffer => {
  const [topicBytes, exceptBytes] = [Buffer.byteLength(topic), Buffer.byteLength(except)]
  if (topicBytes > maxNameBytes || exceptBytes > maxNameBytes) throw new RangeError('the name of a topic is too long')
  const bytes = Buffer.allocUnsafe(9 + topicBytes + exceptBytes + body.length)
  bytes.writeUInt8(1, 0)
  bytes.writeUInt16BE(topicBytes, 1)
  bytes.writeUInt16BE(exceptBytes, 3)
  bytes.writeUInt32BE(body.length, 5)
  bytes.write(topic, 9)
  bytes.write(except, 9 + topicBytes)
  body.copy(bytes, 9 + topicBytes + exceptBytes)
  return bytes
}

export const encodeEntry = (entry: Entry): Buffer =>
  'record' in entry ? encodeRecord(entry.record) : encodeMessage(entry.message)

export const encodeFrame = (node: string, number: number, entries: readonly Buffer[]): Buffer => {
  const header = Buffer.allocUnsafe(headerBytes)
  header.writeUInt8(version, 0)
  header.write(node, 1, 8, 'hex')
  header.writeUIntBE(number, 9, 6)
  return Buffer.concat([header, ...entries])
}

const decodeMessage = (bytes: Buffer, at: number): readonly [Entry, next: number] => {
  const topicEnd = at + 9 + bytes.readUInt16BE(at + 1)
  const exceptEnd = topicEnd + bytes.readUInt16BE(at + 3)
  const end = exceptEnd + bytes.readUInt32BE(at + 5)
  const topic = bytes.toString('utf8', at + 9, topicEnd)
  const body = bytes.subarray(exceptEnd, end)
  if (exceptEnd === topicEnd) return [{ message: { topic, body } }, end]
  return [{ message: { topic, body, except: bytes.toString('utf8', topicEnd, exceptEnd) } }, end]
}

const decodeRecord = (bytes: Buffer, at: number): readonly [Entry, next: number] => {
  const end = at + 5 + bytes.readUInt32BE(at + 1)
  return [{ record: JSON.parse(bytes.toString('utf8', at + 5, end)) as NodeRecord }, end]
}

const decodeEntries = (bytes: Buffer): Entry[] => {
  const entries: Entry[] = []
  let at = headerBytes
  while (at < bytes.length) {
    const [entry, next] = bytes[at] === 1 ? decodeMessage(bytes, at) : decodeRecord(bytes, at)
    if (next > bytes.length) throw new RangeError('cut off')
    entries.push(entry)
    at = next
  }
  return entries
}

/** Whose frame it is and which, without reading on; undefined of one that a node of another version sent. */
export const frameHead = (bytes: Buffer): { readonly node: string; readonly number: number } | undefined => {
  if (bytes.length < headerBytes || bytes[0] !== version) return undefined
  return { node: bytes.toString('hex', 1, 9), number: bytes.readUIntBE(9, 6) }
}

/** Undefined of what is no frame. */
export const decodeFrame = (bytes: Buffer): Frame | undefined => {
  const head = frameHead(bytes)
  if (head === undefined) return undefined
  try {
    return { ...head, entries: decodeEntries(bytes) }
  } catch {
    return undefined
  }
}
