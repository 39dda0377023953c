import { createHash } from 'node:crypto'
import { chown, mkdir, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { hasErrno } from '../../../state/files.js'
import type { Account } from '../account.js'

export interface FileFacts {
  readonly bytes: number
  readonly sha256: string
}

/** A folder's content by path, in the order in which it is read. */
export interface Listing {
  readonly folders: readonly string[]
  readonly files: readonly string[]
}

/**
 * What is below a folder. `enter` says of each path whether it is wanted; of folders that are not entered the folder itself
 * still counts. What goes away meanwhile is left out: the server removes files as it works.
 */
export const listFiles = async (root: string, enter: (path: string) => boolean): Promise<Listing> => {
  const folders: string[] = []
  const files: string[] = []
  const walk = async (below: string): Promise<void> => {
    const entries = await readdir(join(root, below), { withFileTypes: true }).catch((error: unknown) => {
      if (hasErrno(error, 'ENOENT') && below !== '') return []
      throw error
    })
    for (const entry of entries) {
      const path = below === '' ? entry.name : `${below}/${entry.name}`
      if (entry.isDirectory()) {
        folders.push(path)
        if (enter(path)) await walk(path)
      } else if (entry.isFile() && enter(path)) files.push(path)
    }
  }
  await walk('')
  return { folders, files }
}

const pieceBytes = 256 * 1024

/**
 * Copies one file to the disk and tells what was written; undefined where it is gone. A file that grows meanwhile is copied as far
 * as it is read: the write-ahead log mends it.
 */
export const copyFile = async (from: string, to: string, account?: Account): Promise<FileFacts | undefined> => {
  const source = await open(from, 'r').catch((error: unknown) => {
    if (hasErrno(error, 'ENOENT')) return undefined
    throw error
  })
  if (source === undefined) return undefined
  try {
    const target = await open(to, 'wx', 0o600)
    try {
      const hash = createHash('sha256')
      const piece = Buffer.allocUnsafe(pieceBytes)
      let bytes = 0
      for (;;) {
        const { bytesRead } = await source.read(piece, 0, pieceBytes)
        if (bytesRead === 0) break
        const read = piece.subarray(0, bytesRead)
        hash.update(read)
        await target.writeFile(read)
        bytes += bytesRead
      }
      if (account) await target.chown(account.uid, account.gid)
      await target.sync()
      return { bytes, sha256: hash.digest('hex') }
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

/** Of a file that is only read. */
export const factsOf = async (path: string): Promise<FileFacts> => {
  const file = await open(path, 'r')
  const hash = createHash('sha256')
  let bytes = 0
  for await (const piece of file.createReadStream({ highWaterMark: pieceBytes })) {
    hash.update(piece)
    bytes += (piece as Buffer).length
  }
  return { bytes, sha256: hash.digest('hex') }
}

export const makeFolders = async (root: string, folders: readonly string[], account?: Account): Promise<void> => {
  for (const folder of ['', ...folders]) {
    await mkdir(join(root, folder), { mode: 0o700 })
    if (account) await chown(join(root, folder), account.uid, account.gid)
  }
}

const atOnce = 8

/** Runs `fn` for each, a few at a time; the first failure ends it. */
export const forEachFile = async (files: readonly string[], fn: (path: string) => Promise<void>): Promise<void> => {
  const left = files[Symbol.iterator]()
  const worker = async (): Promise<void> => {
    for (const path of left) await fn(path)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** What is in the folder is on the disk once this returns: its names too. */
export const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
