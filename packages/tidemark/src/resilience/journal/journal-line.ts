import { crc32 } from 'node:zlib'
import type { JournalEntry } from './journal.js'

const newline = 0x0a
const crcLength = 8

const checksum = (bytes: Uint8Array): string => crc32(bytes).toString(16).padStart(crcLength, '0')

/** `<crc> {"id":…,"at":…,"data":…}\n`: one line, so that a damaged one spoils no other. */
export const encodeLine = <T>(entry: JournalEntry<T>): Buffer => {
  const json = Buffer.from(JSON.stringify(entry))
  return Buffer.concat([Buffer.from(`${checksum(json)} `), json, Buffer.from('\n')])
}

export interface ReadLine<T> {
  /** Undefined where the line is damaged. */
  readonly entry: JournalEntry<T> | undefined
  readonly bytes: number
}

const decodeLine = <T>(line: Buffer): JournalEntry<T> | undefined => {
  const json = line.subarray(crcLength + 1)
  if (line.toString('latin1', 0, crcLength + 1) !== `${checksum(json)} `) return undefined
  try {
    const entry = JSON.parse(json.toString()) as JournalEntry<T>
    return typeof entry.id === 'string' && typeof entry.at === 'number' ? entry : undefined
  } catch {
    return undefined
  }
}

/** The whole lines of a piece of a journal. A torn end, which a crash leaves, is no line. */
export const readLines = <T>(bytes: Buffer): readonly ReadLine<T>[] => {
  const lines: ReadLine<T>[] = []
  for (let start = 0; ; ) {
    const end = bytes.indexOf(newline, start)
    if (end < 0) return lines
    lines.push({ entry: decodeLine<T>(bytes.subarray(start, end)), bytes: end + 1 - start })
    start = end + 1
  }
}
