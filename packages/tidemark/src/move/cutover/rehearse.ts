/** Does before the pause, and takes back, what the pause will do: whatever cannot be made shows itself while the application goes on. */
import type pg from 'pg'
import { reasonOf, TidemarkError } from '../../errors.js'
import { sqlstateOf } from '../../postgres/postgres-error.js'
import { named } from '../live/gate.js'
import type { HeldRun } from '../live/live-run.js'
import { beginLocked } from '../live/lock-tables.js'
import { allowWrites } from '../live/refuse-writes.js'
import { makeAtFlip, type UnmadeObject, type WaitingObject, waitingObjects } from '../live/waiting.js'
import { quoteIdentifier } from '../translate/translate.js'

/** A foreign key of the target that rows of the file break. */
export interface OrphanedKey {
  readonly name: string
  readonly table: string
  readonly parent: string
  readonly orphans: number
}

export interface Rehearsal {
  readonly unmade: readonly UnmadeObject[]
  readonly orphaned: readonly OrphanedKey[]
}

interface Constraint {
  readonly name: string
  readonly child: string
  readonly parent: string
  readonly childColumns: readonly string[]
  readonly parentColumns: readonly string[]
  readonly full: boolean
}

/** The foreign keys that were not there before. */
const newConstraintsSql = `
  SELECT c.conname AS name, format('%I.%I', cn.nspname, ct.relname) AS child, format('%I.%I', pn.nspname, pt.relname) AS parent,
         (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY AS k(attnum, n)
            JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) AS "childColumns",
         (SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.confkey) WITH ORDINALITY AS k(attnum, n)
            JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.attnum) AS "parentColumns",
         c.confmatchtype = 'f' AS full
    FROM pg_constraint AS c
    JOIN pg_class AS ct ON ct.oid = c.conrelid JOIN pg_namespace AS cn ON cn.oid = ct.relnamespace
    JOIN pg_class AS pt ON pt.oid = c.confrelid JOIN pg_namespace AS pn ON pn.oid = pt.relnamespace
   WHERE c.contype = 'f' AND c.conparentid = 0 AND NOT c.oid = ANY ($1::oid[])`

const orphanSql = ({ child, parent, childColumns, parentColumns, full }: Constraint): string => {
  const columns = childColumns.map((name) => `c.${quoteIdentifier(name)}`)
  const isSet = columns.map((name) => `${name} IS NOT NULL`).join(full ? ' OR ' : ' AND ')
  const same = columns.map((name, i) => `p.${quoteIdentifier(parentColumns[i]!)} = ${name}`).join(' AND ')
  return `SELECT count(*) AS orphans FROM ${child} AS c WHERE (${isSet}) AND NOT EXISTS (SELECT FROM ${parent} AS p WHERE ${same})`
}

/** Adds one foreign key and counts by an anti-join the rows without a parent. */
const countOrphans = async (client: pg.Client, { makeSql, table }: WaitingObject): Promise<readonly OrphanedKey[]> => {
  const { rows: before } = await client.query<{ oids: string[] }>(
    "SELECT coalesce(array_agg(oid::text), '{}') AS oids FROM pg_constraint WHERE contype = 'f'",
  )
  await client.query(makeSql)
  const { rows: added } = await client.query<Constraint>(newConstraintsSql, [before[0]!.oids])
  const orphaned: OrphanedKey[] = []
  for (const constraint of added) {
    const { rows } = await client.query<{ orphans: string }>(orphanSql(constraint))
    const orphans = Number(rows[0]!.orphans)
    if (orphans > 0) orphaned.push({ name: constraint.name, table, parent: constraint.parent, orphans })
  }
  return orphaned
}

/** What only another time or another connection cures is no answer of a rehearsal. */
const passes = (error: unknown): boolean => !/^(?:0A|22|23|2B|42|54)/.test(sqlstateOf(error) ?? '')

/** Tries each foreign key apart, so that all are named and not only the first. */
const tryForeignKeys = async (client: pg.Client, runId: string): Promise<Rehearsal> => {
  const [unmade, orphaned]: [UnmadeObject[], OrphanedKey[]] = [[], []]
  for (const object of await waitingObjects(client, runId)) {
    if (object.kind !== 'foreignKey' || object.state === 'made') continue
    await client.query('SAVEPOINT one')
    try {
      orphaned.push(...(await countOrphans(client, object)))
    } catch (error) {
      if (passes(error)) throw error
      unmade.push({ name: object.name, table: object.table, reason: reasonOf(error) })
    }
    await client.query('ROLLBACK TO SAVEPOINT one')
  }
  return { unmade, orphaned }
}

/** How long to wait for readers that are in the way of a rehearsal. */
const patienceMs = 30_000

const tryFlip = async (client: pg.Client, held: HeldRun): Promise<readonly UnmadeObject[]> => {
  const { plan, path } = held.run
  const endMs = performance.now() + patienceMs
  await beginLocked(client, plan, {
    mode: 'ACCESS EXCLUSIVE',
    leftMs: () => endMs - performance.now(),
    blocked: (blockers, cause) => {
      const what = `locks in Postgres${blockers.length > 0 ? ` held by ${named(blockers)}` : ''}`
      return new TidemarkError(
        'TM_MOVE_BLOCKED',
        { step: 'cutover', path, what, fix: 'Try again when they have ended.' },
        { cause },
      )
    },
  })
  try {
    await makeAtFlip(client, held)
    await allowWrites(client, plan)
    return []
  } catch (error) {
    if (passes(error)) throw error
    return [{ name: 'the switch', table: '', reason: reasonOf(error) }]
  } finally {
    await client.query('ROLLBACK').catch(() => undefined)
  }
}

/**
 * Rehearses the flip in transactions that are rolled back. Counting takes locks that only writers notice, and only the move writes; the rest
 * holds the tables for a moment. Raises TM_MOVE_BLOCKED where readers stand in the way for long.
 */
export const rehearse = async (client: pg.Client, held: HeldRun): Promise<Rehearsal> => {
  await client.query('BEGIN')
  const rehearsal = await tryForeignKeys(client, held.run.id).finally(() => client.query('ROLLBACK').catch(() => undefined))
  return rehearsal.unmade.length > 0 ? rehearsal : { ...rehearsal, unmade: await tryFlip(client, held) }
}

/**
 * Checks the rows against the foreign keys that were added without looking, and blocks no reader or writer. Answers with those that rows
 * break: they hold for new rows only. A key that is valid already costs nothing, so it may be asked again.
 */
export const validateForeignKeys = async (client: pg.Client, { run }: Pick<HeldRun, 'run'>): Promise<readonly string[]> => {
  const { rows } = await client.query<{ name: string; table: string }>(
    `SELECT w.name, w.table_name AS table FROM tidemark.move_waiting AS w
       JOIN pg_constraint AS c ON c.conrelid = to_regclass(w.table_name) AND c.conname = w.name AND c.contype = 'f'
      WHERE w.run_id = $1 AND w.kind = 'foreignKey' AND w.state = 'made' AND NOT c.convalidated ORDER BY w.ordinal`,
    [run.id],
  )
  const broken: string[] = []
  for (const { name, table } of rows) {
    try {
      await client.query(`ALTER TABLE ${table} VALIDATE CONSTRAINT ${quoteIdentifier(name)}`)
    } catch (error) {
      if (sqlstateOf(error) !== '23503') throw error
      broken.push(name)
    }
  }
  return broken
}
