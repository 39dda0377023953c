import { join } from 'node:path'
import type pg from 'pg'
import { describe, expect, it } from 'vitest'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import { useFolder } from '../../testing/use-folder.js'
import { booleanQuirks } from './booleans.js'
import { constraintQuirks } from './constraints.js'
import { fileQuirks } from './files.js'
import { foreignKeyQuirks } from './foreign-keys.js'
import { dishonesties } from './honesty.js'
import { indexQuirks } from './indexes.js'
import { jsonQuirks } from './json.js'
import { keyQuirks } from './keys.js'
import { momentQuirks } from './moments.js'
import { nameQuirks } from './names.js'
import { numberQuirks } from './numbers.js'
import { objectQuirks } from './objects.js'
import type { Probe, Quirk } from './quirk.js'
import { type Moved, makeFile, moveFile } from './run-quirk.js'
import { shapeQuirks } from './shapes.js'
import { textQuirks } from './texts.js'

const groups: Readonly<Record<string, readonly Quirk[]>> = {
  numbers: numberQuirks,
  booleans: booleanQuirks,
  'dates and times': momentQuirks,
  texts: textQuirks,
  'JSON and identifiers': jsonQuirks,
  keys: keyQuirks,
  constraints: constraintQuirks,
  indexes: indexQuirks,
  'foreign keys': foreignKeyQuirks,
  'views, triggers and virtual tables': objectQuirks,
  names: nameQuirks,
  shapes: shapeQuirks,
  files: fileQuirks,
}
const all = Object.values(groups).flat()

const folder = useFolder('quirks')
const database = useDatabase()
const client = useClient(database)

const raise = (schema: string): Promise<unknown> =>
  client.query(`SET search_path TO ${schema}; SET timezone = 'UTC'; SET bytea_output = 'hex'`)

const ask = async ({ sql, rows, refused }: Probe): Promise<void> => {
  const answer = await client
    .query<(string | null)[]>({ text: sql, rowMode: 'array', types: { getTypeParser: () => (text: unknown) => text } })
    .then(({ rows }) => ({ rows, code: undefined }))
    .catch((error: pg.DatabaseError) => ({ rows: error.message, code: error.code }))
  if (refused !== undefined) expect(answer, sql).toMatchObject({ code: refused })
  else if (rows !== undefined) expect(answer.rows, sql).toEqual(rows)
  else expect(answer.code, `${sql}: ${answer.rows}`).toBeUndefined()
}

const expectPlan = ({ expect: expected }: Quirk, { plan }: Moved): void => {
  const columns = plan.tables.flatMap((table) =>
    table.columns.map((column) => ({ ...column, at: `${table.source}.${column.source}` })),
  )
  for (const [at, type] of Object.entries(expected.types ?? {}))
    expect(columns.find((column) => column.at === at)?.targetType, at).toBe(type)
  const named = new Map([
    ...columns.map(({ at, target }) => [at, target] as const),
    ...plan.tables.map(({ source, target }) => [source, target] as const),
  ])
  for (const [at, name] of Object.entries(expected.names ?? {})) {
    if (typeof name === 'string') expect(named.get(at), at).toBe(name)
    else expect(named.get(at), at).toMatch(name)
  }
  const hazards = plan.hazards.filter(({ severity }) => severity !== 'info')
  const printed = hazards.map(({ code, table, column }) => `${code} ${table}${column === null ? '' : `.${column}`}`)
  expect(printed.sort()).toEqual([...(expected.hazards ?? [])].sort())
  for (const { type, table, name, outcome, why, suggestion } of plan.objects) {
    const at = `${type} ${table === null ? '' : `${table}.`}${name}`
    if (expected.objects?.[at] === undefined) expect({ at, outcome, why }).not.toMatchObject({ outcome: 'notCarried' })
    expect(why).not.toBe('')
    if (outcome === 'notCarried') expect(suggestion).toBeTruthy()
  }
  for (const [at, outcome] of Object.entries(expected.objects ?? {})) {
    const same = plan.objects.filter(({ type, table, name }) => at === `${type} ${table === null ? '' : `${table}.`}${name}`)
    expect({ at, outcomes: same.map((each) => each.outcome) }).toEqual({ at, outcomes: expect.arrayContaining([outcome]) })
  }
}

const expectCopy = ({ expect: expected }: Quirk, { copy }: Moved): void => {
  expect(copy.objects.failed.map(({ name }) => name).sort(), JSON.stringify(copy.objects.failed)).toEqual(
    [...(expected.failed ?? [])].sort(),
  )
  expect([...copy.objects.unvalidated].sort()).toEqual([...(expected.unvalidated ?? [])].sort())
  expect(copy.ok).toBe(copy.unallowedRejects === 0 && copy.objects.failed.length === 0)
  for (const { table, rows, copied, rejected } of copy.tables)
    expect({ table, sum: copied + rejected }).toEqual({ table, sum: rows })
}

const expectAccount = ({ expect: expected }: Quirk, moved: Moved): void => {
  expect(dishonesties(moved)).toEqual([])
  expect(moved.verification.ok).toBe(true)
  for (const { table, rows, equal, mapped, rejected } of moved.verification.tables) {
    const wanted = expected.account?.[table] ?? { rows }
    const { mapped: wantedMapped = 0, rejected: wantedRejected = 0 } = wanted
    const sums = {
      rows: wanted.rows,
      equal: wanted.rows - wantedMapped - wantedRejected,
      mapped: wantedMapped,
      rejected: wantedRejected,
    }
    expect({ table, rows, equal, mapped, rejected }).toEqual({ table, ...sums })
  }
  expect(moved.plan.tables.map(({ source }) => source)).toEqual(expect.arrayContaining(Object.keys(expected.account ?? {})))
}

describe('the table of quirks', () => {
  it('holds at least 90, each under a name of its own', () => {
    expect(all.length).toBeGreaterThanOrEqual(90)
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
  })
})

for (const [group, quirks] of Object.entries(groups)) {
  describe(`MOVE-3: ${group}`, () => {
    it.each(quirks.map((quirk) => [quirk.name, quirk] as const))('%s', async (name, quirk) => {
      const number = all.findIndex((candidate) => candidate.name === name)
      const schema = `q${number}`
      const path = join(folder, `${schema}.db`)
      const held = makeFile(quirk, path)
      try {
        const moving = moveFile({
          folder,
          path,
          schema,
          target: { url: database.url },
          choices: quirk.choices,
          identifiers: quirk.identifiers,
        })
        const { error } = quirk.expect
        if (error) {
          await expect(moving).rejects.toMatchObject({ code: error.code, message: expect.stringMatching(error.says ?? /./) })
          const { rows } = await client.query(
            'SELECT relname FROM pg_class WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)',
            [schema],
          )
          expect(rows).toEqual([])
          return
        }
        const moved = await moving
        expectPlan(quirk, moved)
        expectCopy(quirk, moved)
        expectAccount(quirk, moved)
        await raise(schema)
        for (const probe of quirk.expect.probes ?? []) await ask(probe)
      } finally {
        held?.close()
      }
    })
  })
}
