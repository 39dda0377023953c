import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { reasonOf, TidemarkError } from '../../../errors.js'
import { hasErrno } from '../../../state/files.js'

const lsnForm = /^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/
const segmentForm = /^[0-9A-F]{24}$/

/** Below `data`, and nowhere else. */
const below = z.string().regex(/^(?!\/)(?!(?:.*\/)?\.\.?(?:\/|$))[^\0\\]+$/)

const manifestForm = z.object({
  format: z.literal(1),
  name: z.string(),
  /** ISO 8601. Transactions that were committed before the end are in it. */
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
  /** What has to be replayed for the copy to be a whole. */
  startLsn: z.string().regex(lsnForm),
  stopLsn: z.string().regex(lsnForm),
  /** The first file of the write-ahead log that it needs. */
  startSegment: z.string().regex(segmentForm),
  stopSegment: z.string().regex(segmentForm),
  systemId: z.string(),
  timeline: z.number().int(),
  /** Such as `18.4`. */
  version: z.string(),
  bytes: z.number(),
  /** Folders, so that those that were empty are there as well. */
  folders: z.array(below),
  /** Paths below `data`, with what they held when they were copied. */
  files: z.record(below, z.object({ bytes: z.number(), sha256: z.string() })),
})

/** What a backup is made of, and what it needs: `manifest.json` in its folder, beside `data`. */
export type Manifest = z.infer<typeof manifestForm>

export const manifestName = 'manifest.json'

const damaged = (path: string, reason: string): TidemarkError => new TidemarkError('TM_POSTGRES_BACKUP_DAMAGED', { path, reason })

/** Raises TM_POSTGRES_BACKUP_DAMAGED. */
export const readManifest = async (folder: string): Promise<Manifest> => {
  const path = join(folder, manifestName)
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw damaged(path, reasonOf(error))
  })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw damaged(path, reasonOf(error))
  }
  const parsed = manifestForm.safeParse(value)
  if (!parsed.success) throw damaged(path, 'it is not the manifest of a backup')
  return parsed.data
}

/** The backups of a folder, the oldest first. What is not whole has another name and is not among them. */
export const listBackups = async (folder: string): Promise<readonly Manifest[]> => {
  const names = await readdir(folder).catch((error: unknown) => {
    if (hasErrno(error, 'ENOENT')) return []
    throw error
  })
  const found: Manifest[] = []
  for (const name of names.toSorted()) if (/^\d{8}T\d{6}\.\d{3}Z$/.test(name)) found.push(await readManifest(join(folder, name)))
  return found
}
