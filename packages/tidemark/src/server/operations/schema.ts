import { z } from 'zod'
import { TidemarkError } from '../../errors.js'
import type { ConnectOptions } from '../../postgres/postgres.js'
import type { ExposureReport } from '../../schema/exposure/exposure.js'
import type { MigrationStatus, SchemaDifference, UpReport } from '../../schema/schema.js'
import type { Project } from '../project/project.js'

const schemaName = z.string().min(1).max(63)

export const upRequest = z.strictObject({
  target: z.string().min(1).optional(),
  dryRun: z.boolean().optional(),
  allowOutOfOrder: z.boolean().optional(),
})

export const schemasRequest = z.strictObject({ schemas: z.array(schemaName).min(1).optional() })

type Present<T> = { [K in keyof T]: Exclude<T[K], undefined> }

/** Without the keys that hold undefined, which an exact optional property does not take. */
const present = <T extends object>(value: T): Present<T> =>
  Object.fromEntries(Object.entries(value).filter(([, held]) => held !== undefined)) as Present<T>

export const schemaUp = (project: Project, request: z.output<typeof upRequest>): Promise<UpReport> =>
  project.withDatabase(undefined, ({ migrator }) => migrator.up(present(request)))

export interface SchemaStatus {
  readonly migrations: readonly MigrationStatus[]
  readonly pending: number
}

export const schemaStatus = (project: Project): Promise<SchemaStatus> =>
  project.withDatabase(undefined, async ({ migrator }) => {
    const migrations = await migrator.status()
    return { migrations, pending: migrations.filter(({ state }) => state === 'pending').length }
  })

export interface SchemaDiff {
  readonly ok: boolean
  readonly differences: readonly SchemaDifference[]
}

/** Tables that a move has made belong to no migration, and are no drift. Those that it filled and migrations made are compared. */
const movedTables = async (target: ConnectOptions): Promise<readonly string[]> => {
  const { connectPostgres } = await import('../../postgres/postgres.js')
  const client = await connectPostgres({ ...target, name: 'schema' })
  try {
    const { rows } = await client.query<{ name: string }>(
      `select distinct concat(moved ->> 'targetSchema', '.', moved ->> 'target') as name
         from tidemark.move_runs, jsonb_array_elements(plan -> 'tables') as moved
        where plan ->> 'into' = 'new'`,
    )
    return rows.map(({ name }) => name)
  } finally {
    await client.end().catch(() => undefined)
  }
}

export const schemaDiff = (project: Project, request: z.output<typeof schemasRequest>): Promise<SchemaDiff> =>
  project.withDatabase(undefined, async ({ migrator, target }) => {
    const differences = await migrator.diff({ ...present(request), ignoreTables: await movedTables(target) })
    return { ok: differences.length === 0, differences }
  })

export const schemaCheck = (project: Project, request: z.output<typeof schemasRequest>): Promise<ExposureReport> =>
  project.withDatabase(undefined, ({ migrator }) => migrator.check(present(request)))

export const schemaTypes = (project: Project, request: z.output<typeof schemasRequest>): Promise<{ readonly types: string }> =>
  project.withDatabase(undefined, async ({ migrator }) => ({ types: await migrator.types(present(request)) }))

/** The errors behind `ok: false`, for callers that want one. */
export const openError = ({ findings }: ExposureReport): TidemarkError =>
  new TidemarkError('TM_SCHEMA_OPEN', { count: findings.filter(({ level }) => level === 'error').length })

export const driftError = ({ differences }: SchemaDiff): TidemarkError =>
  new TidemarkError('TM_SCHEMA_DRIFT', { count: differences.length })
