import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { isTidemarkError, reasonOf, TidemarkError } from '../../../errors.js'
import { type Clock, systemClock } from '../../../time/clock.js'
import { copyFile, type FileFacts, forEachFile, listFiles, makeFolders, syncFolder } from './copy-files.js'
import { type Manifest, manifestName } from './manifest.js'

export interface BackupOptions {
  /** The running server, as its superuser. */
  readonly url: string
  readonly dataDir: string
  /** Where backups are kept, each in a folder of its own. */
  readonly folder: string
  readonly clock?: Clock
  readonly log?: (message: string) => void
}

/** The server makes these anew. Slots above all: what they promise holds for the history that is left behind. */
const withoutContent = /^(?:pg_wal|pg_replslot|pg_dynshmem|pg_notify|pg_serial|pg_snapshots|pg_stat_tmp|pg_subtrans)$/
const leftOut =
  /^(?:postmaster\.(?:pid|opts)|.*pgsql_tmp.*|backup_label.*|tablespace_map.*)$|(?:^|\/)(?:pg_internal\.init.*|pgsql_tmp.*)$/
const control = 'global/pg_control'

const isWanted = (path: string): boolean => !withoutContent.test(path) && !leftOut.test(path)

interface Started {
  readonly lsn: string
  readonly segment: string
  readonly system_id: string
  readonly timeline: number
  readonly version: string
  readonly tablespaces: number
}

interface Stopped {
  readonly lsn: string
  readonly segment: string
  readonly label: string
}

const row = async <R extends pg.QueryResultRow>(client: pg.Client, sql: string, values: readonly unknown[] = []): Promise<R> =>
  (await client.query<R>(sql, [...values])).rows[0]!

// A temporary slot keeps the log from being reused before it is copied, and is gone with the session.
const holdLogSql = `select pg_create_physical_replication_slot($1, true, true)`

const startSql = `
  with started as materialized (select pg_backup_start($1, true) as lsn)
  select lsn::text, pg_walfile_name(lsn) as segment,
         (select system_identifier::text from pg_control_system()) as system_id,
         ('x' || substr(pg_walfile_name(lsn), 1, 8))::bit(32)::int as timeline,
         split_part(current_setting('server_version'), ' ', 1) as version,
         (select count(*)::int from pg_tablespace where spcname not in ('pg_default', 'pg_global')) as tablespaces
    from started`

// The log is copied from the server's own folder, so there is nothing to wait for.
const stopSql = `
  select lsn::text, pg_walfile_name(lsn) as segment, labelfile as label from pg_backup_stop(false)`

/** Files of the log from one to another, both included, and what tells of its branches. */
const logFiles = (files: readonly string[], from: string, to: string): readonly string[] =>
  files.filter((file) => /^[0-9A-F]{8}\.history$/.test(file) || (/^[0-9A-F]{24}$/.test(file) && file >= from && file <= to))

type Files = Record<string, FileFacts>

const copyInto = async (data: string, dataDir: string, paths: readonly string[], files: Files): Promise<void> =>
  forEachFile(paths, async (path) => {
    const facts = await copyFile(join(dataDir, path), join(data, path))
    if (facts) files[path] = facts
  })

const copyLog = async (dataDir: string, data: string, { segment: from }: Started, { segment: to }: Stopped, files: Files) => {
  const { files: found } = await listFiles(join(dataDir, 'pg_wal'), (path) => !path.includes('/'))
  const wanted = logFiles(found, from, to)
  for (const edge of [from, to]) {
    if (!wanted.includes(edge)) throw new Error(`the file ${edge} of the write-ahead log is gone`)
  }
  await copyInto(
    data,
    dataDir,
    wanted.map((file) => `pg_wal/${file}`),
    files,
  )
}

/** The copy itself, between start and end as Postgres counts them. */
const copyCluster = async (client: pg.Client, dataDir: string, data: string, name: string) => {
  await client.query(holdLogSql, [`tidemark_backup_${process.pid}`])
  const started = await row<Started>(client, startSql, [`tidemark ${name}`])
  if (started.tablespaces > 0) throw new Error('there are tablespaces outside the data folder, which are not copied')
  const { folders, files: listed } = await listFiles(dataDir, isWanted)
  const inLog = ['pg_wal/archive_status', 'pg_wal/summaries']
  const allFolders = [...folders, ...inLog.filter((folder) => !folders.includes(folder))]
  await makeFolders(data, allFolders)
  const files: Files = {}
  await copyInto(
    data,
    dataDir,
    listed.filter((path) => path !== control),
    files,
  )
  // Last, so that it is never older than what it speaks of.
  await copyInto(data, dataDir, [control], files)
  const stopped = await row<Stopped>(client, stopSql)
  await copyLog(dataDir, data, started, stopped, files)
  const label = join(data, 'backup_label')
  const text = join(data, '..', 'backup_label')
  await writeFile(text, stopped.label, { mode: 0o600, flag: 'wx' })
  files['backup_label'] = (await copyFile(text, label))!
  await rm(text)
  return { started, stopped, folders: allFolders, files }
}

const nameOf = (ms: number): string => new Date(ms).toISOString().replaceAll(/[-:]/g, '')

/**
 * Copies a running embedded server while it works: Postgres is told (`pg_backup_start`, `pg_backup_stop`), its files are copied, and the part of
 * the write-ahead log that makes them a whole. What is in the folder under the name it gives is complete and on the disk.
 * Raises TM_POSTGRES_BACKUP_FAILED.
 */
export const takeBackup = async (options: BackupOptions): Promise<Manifest> => {
  const { url, dataDir, folder, clock = systemClock, log = () => undefined } = options
  const startedAt = clock.now()
  const name = nameOf(startedAt)
  const unfinished = join(folder, `${name}.unfinished`)
  const client = new pg.Client({ connectionString: url, application_name: 'tidemark/backup' })
  client.on('error', () => undefined)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await mkdir(unfinished, { mode: 0o700 })
    await client.connect()
    log(`copying ${dataDir}`)
    const { started, stopped, folders, files } = await copyCluster(client, dataDir, join(unfinished, 'data'), name)
    const manifest: Manifest = {
      format: 1,
      name,
      startedAt: new Date(startedAt).toISOString(),
      endedAt: new Date(clock.now()).toISOString(),
      startLsn: started.lsn,
      stopLsn: stopped.lsn,
      startSegment: started.segment,
      stopSegment: stopped.segment,
      systemId: started.system_id,
      timeline: started.timeline,
      version: started.version,
      bytes: Object.values(files).reduce((sum, file) => sum + file.bytes, 0),
      folders: [...folders],
      files,
    }
    await writeFile(join(unfinished, manifestName), `${JSON.stringify(manifest, undefined, 1)}\n`, { mode: 0o600, flush: true })
    for (const path of ['', 'data', ...folders.map((path) => `data/${path}`)]) await syncFolder(join(unfinished, path))
    await rename(unfinished, join(folder, name))
    await syncFolder(folder)
    return manifest
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true }).catch(() => undefined)
    if (isTidemarkError(error)) throw error
    throw new TidemarkError('TM_POSTGRES_BACKUP_FAILED', { reason: reasonOf(error) }, { cause: error })
  } finally {
    await client.end().catch(() => undefined)
  }
}
