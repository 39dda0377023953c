/** A copied cluster under an identifier of its own, as `initdb` would have given it: what tells histories apart goes by it. */
import { randomBytes } from 'node:crypto'
import { open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc >>> 0
})

/** CRC-32C over ever more bytes: the value before each of them. */
function* checksums(bytes: Buffer): Generator<number> {
  let crc = 0xffffffff
  for (const byte of bytes) {
    yield (crc ^ 0xffffffff) >>> 0
    crc = (crcTable[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8)
  }
}

/** The control file ends with the checksum of what stands before it; where that is differs from version to version. */
const checksumOffset = (control: Buffer): number => {
  let offset = 0
  for (const crc of checksums(control)) {
    if (offset >= 200 && offset % 4 === 0 && control.readUInt32LE(offset) === crc) return offset
    offset += 1
  }
  throw new Error('the control file has no checksum')
}

const checksum = (bytes: Buffer): number => {
  let last = 0
  for (const crc of checksums(Buffer.concat([bytes, Buffer.alloc(1)]))) last = crc
  return last
}

/** In the first page of each file of the log. */
const identifierOffset = 24

const replaceIn = async (path: string, before: Buffer, identifier: Buffer): Promise<void> => {
  const file = await open(path, 'r+')
  try {
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, identifierOffset)
    if (buffer.equals(before)) await file.write(identifier, 0, 8, identifierOffset)
  } finally {
    await file.close()
  }
}

/** The server must have been shut down in order. */
export const giveIdentity = async (dataDir: string): Promise<void> => {
  const identifier = randomBytes(8)
  const path = join(dataDir, 'global/pg_control')
  const control = await readFile(path)
  const offset = checksumOffset(control)
  const before = Buffer.from(control.subarray(0, 8))
  identifier.copy(control)
  control.writeUInt32LE(checksum(control.subarray(0, offset)), offset)
  await writeFile(path, control)
  const log = join(dataDir, 'pg_wal')
  for (const name of await readdir(log)) if (/^[0-9A-F]{24}$/.test(name)) await replaceIn(join(log, name), before, identifier)
}
