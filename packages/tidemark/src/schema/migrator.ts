import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TidemarkError } from '../errors.js'
import { type Clock, systemClock } from '../time/clock.js'
import { applyMigration } from './apply-migration.js'
import { readCatalogue } from './catalogue.js'
import { compareCatalogues } from './compare-catalogues.js'
import { checkExposure } from './exposure/check-exposure.js'
import { ExposureWatch, type RowSecurityOptions } from './exposure/exposure-watch.js'
import { generateTypes } from './generate-types.js'
import { ensureLedgers, type LedgerEntry, readLedger } from './ledger.js'
import { compareVersions, directoryOf, platformSource, readSource } from './migration-files.js'
import { withMigrationLock } from './migration-lock.js'
import type {
  AppliedMigration,
  Migration,
  MigrationSource,
  MigrationState,
  MigrationStatus,
  Migrator,
  SchemaClient,
  SchemaConnect,
  UpOptions,
  UpReport,
} from './schema.js'
import { withScratchDatabase } from './scratch-database.js'

/** Called as things happen, for the terminal and the log. Statements and their values never appear in it. */
export type MigrationListener = (event: {
  readonly type: 'migration:started' | 'migration:applied'
  readonly source: string
  readonly version: string
  readonly name: string
}) => void

export interface MigratorOptions {
  /** Must give direct sessions of the role that owns the objects, `tidemark_migrator` after the bootstrap. */
  readonly connect: SchemaConnect
  /** In the order in which they are applied: the platform's, the project's, the apps'. */
  readonly sources: readonly MigrationSource[]
  readonly listener?: MigrationListener
  /** How long to wait for another process that migrates. Default 60,000. */
  readonly lockTimeoutMs?: number
  /** What is done about a migration that opens rows to `anon` or `authenticated`. Default: it is refused. */
  readonly rowSecurity?: RowSecurityOptions
  readonly clock?: Clock
}

interface Comparison {
  readonly migration: Migration | undefined
  readonly entry: LedgerEntry | undefined
  readonly source: string
  readonly version: string
  readonly state: MigrationState
}

const stateOf = (migration: Migration | undefined, entry: LedgerEntry | undefined): MigrationState => {
  if (!migration) return 'missing'
  if (!entry) return 'pending'
  return entry.checksum === null || entry.checksum === migration.checksum ? 'applied' : 'changed'
}

const compare = (source: MigrationSource, files: readonly Migration[], ledger: readonly LedgerEntry[]): readonly Comparison[] => {
  const entries = ledger.filter((entry) => entry.source === source.name)
  const versions = [...new Set([...files, ...entries].map(({ version }) => version))].sort(compareVersions)
  return versions.map((version) => {
    const migration = files.find((candidate) => candidate.version === version)
    const entry = entries.find((candidate) => candidate.version === version)
    return { migration, entry, source: source.name, version, state: stateOf(migration, entry) }
  })
}

const withinTarget = (comparison: Comparison, target: string): boolean =>
  target === 'head' || comparison.source === platformSource.name || compareVersions(comparison.version, target) <= 0

/** What to apply, in order; refuses histories that do not fit together. A database ahead of its files is no fault by itself. */
const pendingOf = (all: readonly Comparison[], options: UpOptions): readonly Migration[] => {
  const target = options.target ?? 'head'
  if (target !== 'head' && !all.some(({ version }) => version === target)) {
    throw new TidemarkError('TM_SCHEMA_UNKNOWN_TARGET', { target })
  }
  const named = ({ source, version }: Comparison): string => `${version} (${source})`
  const changed = all.find(({ state }) => state === 'changed')
  if (changed) throw new TidemarkError('TM_SCHEMA_CHECKSUM', { version: named(changed) })
  const pending = all.filter((comparison) => comparison.state === 'pending' && withinTarget(comparison, target))
  for (const comparison of pending) {
    const siblings = all.filter(({ source }) => source === comparison.source)
    const missing = siblings.find(({ state }) => state === 'missing')
    if (missing) throw new TidemarkError('TM_SCHEMA_MISSING_FILE', { version: named(missing) })
    const latest = siblings.findLast(({ state }) => state === 'applied')
    if (latest && compareVersions(comparison.version, latest.version) < 0 && options.allowOutOfOrder !== true) {
      throw new TidemarkError('TM_SCHEMA_OUT_OF_ORDER', { version: named(comparison), latest: latest.version })
    }
  }
  return pending.flatMap(({ migration }) => migration ?? [])
}

/** UTC now as 14 digits, or one above `after` where the clock is behind it. */
const nextVersion = (nowMs: number, after: string): string => {
  const version = new Date(nowMs).toISOString().replace(/\D/g, '').slice(0, 14)
  return compareVersions(version, after) > 0 ? version : String(BigInt(after) + 1n).padStart(14, '0')
}

const slugOf = (name: string): string =>
  name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .replace(/^_+|_+$/g, '')

/** Makes a migrator over one database. It holds no connection between calls. */
export const createMigrator = (options: MigratorOptions): Migrator => {
  const { connect, sources } = options
  const clock = options.clock ?? systemClock
  const timeoutMs = options.lockTimeoutMs ?? 60_000
  const rowSecurity = options.rowSecurity ?? {}

  const readFiles = () => Promise.all(sources.map(readSource))
  const read = async (client: SchemaClient, files: readonly (readonly Migration[])[]): Promise<readonly Comparison[]> => {
    const ledger = await readLedger(client, sources)
    return sources.flatMap((source, index) => compare(source, files[index] ?? [], ledger))
  }
  const session = async <T>(work: (client: SchemaClient) => Promise<T>): Promise<T> => {
    const client = await connect()
    try {
      return await work(client)
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  const applyAll = async (client: SchemaClient, pending: readonly Migration[]): Promise<UpReport> => {
    const applied: AppliedMigration[] = []
    const watch = new ExposureWatch(client, rowSecurity)
    await watch.start()
    for (const migration of pending) {
      const event = { source: migration.source.name, version: migration.version, name: migration.name }
      options.listener?.({ type: 'migration:started', ...event })
      applied.push(await applyMigration(client, migration, clock, () => watch.check(migration)))
      options.listener?.({ type: 'migration:applied', ...event })
    }
    return { applied, dryRun: false, findings: watch.news() }
  }

  return {
    up: async (upOptions = {}) => {
      const files = await readFiles()
      return session(async (client): Promise<UpReport> => {
        const pending = pendingOf(await read(client, files), upOptions)
        if (pending.length === 0) return { applied: [], dryRun: upOptions.dryRun ?? false, findings: [] }
        if (upOptions.dryRun) {
          const applied = pending.map(({ source, version, name, statements }) => ({
            source: source.name,
            version,
            name,
            statements: statements.length,
            elapsedMs: 0,
          }))
          return { applied, dryRun: true, findings: [] }
        }
        return withMigrationLock(client, { clock, timeoutMs }, async () => {
          await ensureLedgers(client)
          // Another process may have applied them while this one waited.
          const left = pendingOf(await read(client, files), upOptions)
          return applyAll(client, left)
        })
      })
    },

    status: async () => {
      const files = await readFiles()
      return session(async (client): Promise<readonly MigrationStatus[]> => {
        const all = await read(client, files)
        return all.map(({ migration, entry, source, version, state }) => ({
          source,
          version,
          name: migration?.name ?? entry?.name ?? '',
          state,
          appliedAt: entry?.appliedAt ?? null,
        }))
      })
    },

    create: async (name) => {
      const source = sources.find(({ ledger }) => ledger === 'supabase') ?? (sources.length === 1 ? sources[0] : undefined)
      if (!source) throw new TidemarkError('TM_SCHEMA_NO_SOURCE', {})
      const slug = slugOf(name)
      if (slug === '') throw new TidemarkError('TM_SCHEMA_BAD_NAME', { file: name })
      const latest = (await readSource(source)).at(-1)?.version ?? ''
      const directory = directoryOf(source)
      await mkdir(directory, { recursive: true })
      const path = join(directory, `${nextVersion(clock.now(), latest)}_${slug}.sql`)
      await writeFile(path, '', { flag: 'wx' })
      return path
    },

    diff: async (diffOptions = {}) => {
      const files = (await readFiles()).flat()
      const expected = await withScratchDatabase(connect, clock, async (scratch) => {
        await ensureLedgers(scratch)
        for (const migration of files) await applyMigration(scratch, migration, clock)
        return readCatalogue(scratch)
      })
      return session(async (client) => compareCatalogues(await readCatalogue(client), expected, diffOptions))
    },

    check: (checkOptions = {}) => session((client) => checkExposure(client, { ...rowSecurity, ...checkOptions })),

    types: (typesOptions = {}) => session((client) => generateTypes(client, typesOptions)),
  }
}
