import { createHash } from 'node:crypto'
import type { Conversion } from '../move.js'
import { describe, type Encode, isUtf8 } from './encode.js'
import { exactNumber } from './encode-number.js'

const hexPattern = /^[0-9a-fA-F]{32}$/
const dashedPattern = /^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$/

/** The uuid of version 5 (RFC 9562) of a name in a namespace, both as bytes. */
const uuidOfName = (namespace: string, name: string): Buffer => {
  const digest = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest()
    .subarray(0, 16)
  digest[6] = (digest[6]! & 0x0f) | 0x50
  digest[8] = (digest[8]! & 0x3f) | 0x80
  return digest
}

/** Called for each id that had to be given a uuid, so that the map can be kept in its table. */
export type MapId = (namespace: string, legacyId: string, uuid: Buffer) => void

export const uuid =
  ({ form, namespace }: Extract<Conversion, { kind: 'uuid' }>, mapId: MapId): Encode =>
  (writer, value, cell) => {
    const number = form === 'mapped' ? exactNumber(value, cell) : undefined
    const written = typeof value === 'string' ? value : number === undefined ? undefined : String(number)
    if (written === undefined) return `${describe(value)} in a column of identifiers`
    const isDashed = dashedPattern.test(written)
    if ((form === 'dashed' && isDashed) || (form === 'dashless' && hexPattern.test(written))) {
      writer.bytes(Buffer.from(written.replaceAll('-', ''), 'hex'))
      return undefined
    }
    if (form !== 'mapped') return `text that is no uuid of the ${form} form`
    // The map keeps the identifier as text, and two that look alike in it would become one.
    if (written.includes('\0') || (written.includes('\uFFFD') && !isUtf8(cell.exact().raw)))
      return 'an identifier that no text of Postgres can hold'
    const plain = /^[0-9a-f-]+$/.test(written) && isDashed
    const id = plain ? Buffer.from(written.replaceAll('-', ''), 'hex') : uuidOfName(namespace, written)
    if (!plain) mapId(namespace, written, id)
    writer.bytes(id)
    return undefined
  }
