import { reasonOf, TidemarkError } from '../errors.js'
import type { Clock } from '../time/clock.js'
import { recordMigration } from './ledger.js'
import type { AppliedMigration, Migration, SchemaClient, Statement } from './schema.js'
import { leadingWords } from './split-statements.js'
import { type PostgresError, postgresErrorOf } from './sql-errors.js'

const opening = /^(begin|start transaction)\b/
const closing = /^(commit|end)\b/
const control = /^(begin|start transaction|commit|end|rollback(?! to)|abort|prepare transaction)\b/

const wordsOf = ({ text }: Statement): string => leadingWords(text, 2).join(' ')

/** Without the BEGIN and COMMIT that some files wrap themselves in: the file is one transaction already. */
const unwrapped = (statements: readonly Statement[]): readonly Statement[] => {
  const [first, last] = [statements[0], statements.at(-1)]
  const wrapped = first && last && opening.test(wordsOf(first)) && closing.test(wordsOf(last))
  return wrapped ? statements.slice(1, -1) : statements
}

/** The line of the file in which the server found the fault; without a position, the line of the statement's first word. */
const lineOf = (statement: Statement, position: string | undefined): number => {
  if (position === undefined) return statement.line
  const before = [...statement.text].slice(0, Number(position) - 1)
  return statement.textLine + before.filter((character) => character === '\n').length
}

/** C1: `agent_id = auth.uid()` does not compile where the column is text. */
const comparesUid = ({ text }: Statement, { code, message }: PostgresError): boolean =>
  code === '42883' &&
  /\bauth\.uid\(\)/i.test(text) &&
  /(?:text|character varying) (?:=|<>) uuid|uuid (?:=|<>) (?:text|character varying)/.test(message)

const failure = (migration: Migration, statement: Statement, error: unknown): unknown => {
  const raised = postgresErrorOf(error)
  if (!raised) return error
  const number = migration.statements.indexOf(statement) + 1
  const hints = [
    raised.detail,
    raised.hint,
    comparesUid(statement, raised)
      ? "auth.uid() is a uuid and raises on subjects that are none; compare text with (select auth.jwt() ->> 'sub')"
      : undefined,
    raised.code === '25001' && migration.transactional
      ? 'put "-- tidemark: no-transaction" at the top of the file, where such a statement may run'
      : undefined,
  ].filter((hint) => hint !== undefined)
  return new TidemarkError(
    'TM_SCHEMA_FAILED',
    {
      version: migration.version,
      where: ` in ${migration.file}, statement ${number}, line ${lineOf(statement, raised.position)}`,
      sqlstate: raised.code,
      reason: [reasonOf(raised), ...hints].join(' · '),
      state: migration.transactional
        ? 'nothing of it was applied'
        : `its first ${number - 1} statement(s) stay applied, so each must be safe to repeat`,
    },
    { cause: error },
  )
}

const refuseControl = (migration: Migration, statements: readonly Statement[]): void => {
  const statement = statements.find((candidate) => control.test(wordsOf(candidate)))
  if (!statement) return
  throw new TidemarkError('TM_SCHEMA_FAILED', {
    version: migration.version,
    where: ` in ${migration.file}, statement ${migration.statements.indexOf(statement) + 1}, line ${statement.line}`,
    sqlstate: '2D000',
    reason:
      'the file is one transaction and may not end it; take the statement out, or put "-- tidemark: no-transaction" at the top of the file',
    state: 'nothing of it was applied',
  })
}

const runAll = async (client: SchemaClient, migration: Migration, statements: readonly Statement[]): Promise<void> => {
  for (const statement of statements) {
    try {
      await client.query(statement.text)
    } catch (error) {
      throw failure(migration, statement, error)
    }
  }
}

/** Looks at what a migration has made: within its transaction, where it has one, which a refusal takes back. */
export type Inspect = (migration: Migration) => Promise<void>

const inTransaction = async (
  client: SchemaClient,
  migration: Migration,
  elapsedMs: () => number,
  inspect: Inspect | undefined,
): Promise<void> => {
  const statements = unwrapped(migration.statements)
  refuseControl(migration, statements)
  await client.query('begin')
  try {
    await runAll(client, migration, statements)
    // Deferred constraints speak up here, while the file can still be named.
    const last = migration.statements.at(-1)
    await client.query('set constraints all immediate').catch((error: unknown) => {
      throw last ? failure(migration, last, error) : error
    })
    await client.query('reset all; reset role')
    await inspect?.(migration)
    await recordMigration(client, migration, elapsedMs())
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

/**
 * Applies one file and records it: both or neither, where the file runs in a transaction. What a file sets for its session
 * (search_path, role) ends with it. Raises TM_SCHEMA_FAILED with file, statement, line and SQLSTATE, and what `inspect` raises.
 */
export const applyMigration = async (
  client: SchemaClient,
  migration: Migration,
  clock: Clock,
  inspect?: Inspect,
): Promise<AppliedMigration> => {
  const startedMs = clock.monotonicMs()
  const elapsedMs = () => clock.monotonicMs() - startedMs
  if (migration.transactional) await inTransaction(client, migration, elapsedMs, inspect)
  else {
    await runAll(client, migration, migration.statements)
    await client.query('reset all; reset role')
    await recordMigration(client, migration, elapsedMs())
    await inspect?.(migration)
  }
  const { version, name, source, statements } = migration
  return { source: source.name, version, name, statements: statements.length, elapsedMs: elapsedMs() }
}
