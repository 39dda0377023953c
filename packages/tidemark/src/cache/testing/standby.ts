import { execFile } from 'node:child_process'
import { chown, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import type { EmbeddedPostgres } from '../../postgres/embedded/embedded.js'
import { linkLibraries } from '../../postgres/embedded/libraries.js'
import { preparePlace } from '../../postgres/embedded/place.js'
import { findBinaries } from '../../postgres/embedded/platform.js'
import { spawnPostmaster, stopPostmaster } from '../../postgres/embedded/postmaster.js'
import { acquirePort } from '../../state/state.js'

const run = promisify(execFile)

export interface Standby {
  /** As the superuser. */
  readonly url: string
  stop(): Promise<void>
}

/** A hot standby of a running server, made by a base backup: the files as they are, and where the log begins that mends them. */
export const startStandby = async (primary: EmbeddedPostgres, dir: string): Promise<Standby> => {
  await mkdir(dir)
  const place = await preparePlace(dir, await findBinaries())
  await linkLibraries(place.nativeDir, place.libraryDir)
  const client = new pg.Client({ connectionString: primary.url })
  await client.connect()
  let label: string
  try {
    await client.query(`select pg_backup_start('standby', true)`)
    // Files that go while they are copied are those that the log does not need.
    await run('cp', ['-Rp', primary.dataDir, place.dataDir]).catch(() => undefined)
    label = (await client.query<{ labelfile: string }>('select labelfile from pg_backup_stop(false)')).rows[0]!.labelfile
  } finally {
    await client.end()
  }
  for (const name of ['postmaster.pid', 'postmaster.opts']) await rm(join(place.dataDir, name), { force: true })
  const slots = join(place.dataDir, 'pg_replslot')
  for (const name of await readdir(slots)) await rm(join(slots, name), { recursive: true })
  const port = await acquirePort()
  const { hostname, port: primaryPort } = new URL(primary.url)
  const source = `host=${hostname} port=${primaryPort} user=postgres password=${primary.superuserPassword} sslmode=disable`
  const files = { backup_label: label, 'standby.signal': '', 'postgresql.auto.conf': `primary_conninfo = '${source}'\n` }
  for (const [name, text] of Object.entries(files)) {
    const path = join(place.dataDir, name)
    await writeFile(path, text, { mode: 0o600 })
    if (place.account) await chown(path, place.account.uid, place.account.gid)
  }
  // What a primary has of these a standby must have at least.
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '300',
    max_wal_senders: '100',
    fsync: 'off',
  }
  const { identity } = await spawnPostmaster(place, { port, settings, timeoutMs: 60_000 })
  const url = new URL(primary.url)
  url.port = String(port)
  return { url: url.href, stop: () => stopPostmaster(identity) }
}
