import { ledgerSql, ownLedgerSql, platformSchemaSql } from './bootstrap-steps.js'
import { checksumOf } from './migration-files.js'
import type { Migration, MigrationSource, SchemaClient } from './schema.js'

/** One migration that the database has applied. */
export interface LedgerEntry {
  readonly source: string
  readonly version: string
  readonly name: string
  /** Null where another tool recorded neither a checksum nor the statements. */
  readonly checksum: string | null
  readonly appliedAt: Date | null
}

interface OwnRow {
  readonly source: string
  readonly version: string
  readonly name: string
  readonly checksum: string
  readonly applied_at: Date
}

interface SharedRow {
  readonly version: string
  readonly name: string | null
  readonly statements: readonly string[] | null
}

/** Makes both ledgers where the bootstrap did not: on a database that is migrated without it. */
export const ensureLedgers = async (client: SchemaClient): Promise<void> => {
  const { rows } = await client.query<{ missing: boolean; owner: string }>(
    `select to_regclass('supabase_migrations.schema_migrations') is null or to_regclass('tidemark.migrations') is null as missing,
            current_user::text as owner`,
  )
  if (!rows[0]?.missing) return
  await client.query(`${ledgerSql};\n${platformSchemaSql(rows[0].owner)};\n${ownLedgerSql}`)
}

const readShared = async (client: SchemaClient): Promise<readonly SharedRow[]> => {
  // A ledger that an old version of the CLI made may have neither name nor statements.
  const { rows } = await client.query<{ entry: SharedRow }>(
    'select to_jsonb(m) as entry from supabase_migrations.schema_migrations m order by version collate "C"',
  )
  return rows.map((row) => row.entry)
}

/** Everything applied, by the names of the sources given. Reads only. */
export const readLedger = async (client: SchemaClient, sources: readonly MigrationSource[]): Promise<readonly LedgerEntry[]> => {
  const { rows: present } = await client.query<{ shared: boolean; own: boolean }>(
    `select to_regclass('supabase_migrations.schema_migrations') is not null as shared,
            to_regclass('tidemark.migrations') is not null as own`,
  )
  const own = present[0]?.own
    ? (
        await client.query<OwnRow>(
          'select source, version, name, checksum, applied_at from tidemark.migrations order by version collate "C"',
        )
      ).rows
    : []
  const shared = present[0]?.shared && sources.some(({ ledger }) => ledger === 'supabase') ? await readShared(client) : []
  return sources.flatMap(({ name: source, ledger }): readonly LedgerEntry[] => {
    const ours = own.filter((row) => row.source === source)
    if (ledger === 'tidemark') return ours.map(({ applied_at: appliedAt, ...row }) => ({ ...row, appliedAt }))
    return shared.map(({ version, name, statements }) => {
      const row = ours.find((candidate) => candidate.version === version)
      const checksum = row?.checksum ?? (statements ? checksumOf(statements) : null)
      return { source, version, name: name ?? row?.name ?? '', checksum, appliedAt: row?.applied_at ?? null }
    })
  })
}

/** Records one migration. In a transaction of its own statements, where they have one. */
export const recordMigration = async (client: SchemaClient, migration: Migration, elapsedMs: number): Promise<void> => {
  const { source, version, name, checksum, statements } = migration
  if (source.ledger === 'supabase') {
    await client.query('insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)', [
      version,
      name,
      statements.map((statement) => statement.text),
    ])
  }
  // A row left by a migration that the CLI reverted since (`migration repair --status reverted`) gives way.
  await client.query(
    `insert into tidemark.migrations (source, version, name, checksum, elapsed_ms) values ($1, $2, $3, $4, $5)
     on conflict (source, version) do update
        set name = excluded.name, checksum = excluded.checksum, elapsed_ms = excluded.elapsed_ms, applied_at = now()`,
    [source.name, version, name, checksum, Math.round(elapsedMs)],
  )
}
