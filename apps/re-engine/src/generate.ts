#!/usr/bin/env node
/** Fills the tables with a house's last half year: `node apps/re-engine/dist/generate.js --database URL --seed 1 --leads 500`. */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createNamedPool } from 'tidemark'
import { createRandom } from 'tidemark/testing'
import { type Flaws, makeHouse, type Row } from './make-leads.js'

export interface GenerateOptions {
  /** The same seed and the same options give the same rows. Default 1. */
  readonly seed?: number
  /** Default 500. */
  readonly leads?: number
  /** Default 12. */
  readonly agents?: number
  /** Nothing is later. Default: now. */
  readonly until?: Date
}

export interface Generated {
  readonly counts: Readonly<Record<'agents' | 'leads' | 'approvals' | 'events', number>>
  /** What is wrong on purpose. */
  readonly flaws: Flaws
}

/** A connection of the owner of the tables. */
type Db = { query(sql: string, values?: readonly unknown[]): Promise<unknown> }

const batch = 500

const insert = async (
  db: Db,
  table: string,
  rows: readonly Row[],
  computed: Readonly<Record<string, string>> = {},
): Promise<void> => {
  for (let start = 0; start < rows.length; start += batch) {
    const some = rows.slice(start, start + batch)
    // Names out of this program, none from outside.
    const names = Object.keys(some[0]!)
    const columns = [...names, ...Object.keys(computed)].join(', ')
    const values = [...names.map((name) => `r.${name}`), ...Object.values(computed)].join(', ')
    await db.query(
      `insert into public.${table} (${columns}) select ${values} from jsonb_populate_recordset(null::public.${table}, $1::jsonb) r`,
      [JSON.stringify(some)],
    )
  }
}

const approvedHash = `case when r.approved_by is not null then re_engine.content_hash(r.channel, r.draft_to, r.draft_subject, r.draft_text) end`

/** In one transaction of the owner of the tables: history that is brought in, past the triggers that guard what happens now. */
export const generate = async (
  db: Db,
  { seed = 1, leads = 500, agents = 12, until = new Date() }: GenerateOptions = {},
): Promise<Generated> => {
  const house = makeHouse(createRandom(seed), { agents, leads, untilMs: until.getTime() })
  await db.query("select set_config('tidemark.origin', 'move', true)")
  await insert(db, 'agents', house.agents)
  await insert(db, 'leads', house.leads)
  await insert(db, 'approvals', house.approvals, { approved_hash: approvedHash })
  await insert(db, 'events', house.events)
  const counts = {
    agents: house.agents.length,
    leads: house.leads.length,
    approvals: house.approvals.length,
    events: house.events.length,
  }
  return { counts, flaws: house.flaws }
}

const usage = 'Usage: generate.js --database URL [--seed N] [--leads N] [--agents N] [--until TIME]\n'

const whole = (name: string, text: string): number => {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} takes a whole number above 0`)
  return number
}

/** The command line; answers with the exit code. */
export const main = async (argv: readonly string[]): Promise<number> => {
  let options: GenerateOptions & { readonly database: string }
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        database: { type: 'string', default: process.env['OWNER_DATABASE_URL'] ?? process.env['DATABASE_URL'] ?? '' },
        seed: { type: 'string', default: '1' },
        leads: { type: 'string', default: '500' },
        agents: { type: 'string', default: '12' },
        until: { type: 'string', default: new Date().toISOString() },
      },
    })
    const until = new Date(values.until)
    if (values.database === '') throw new Error('name the database')
    if (Number.isNaN(until.getTime())) throw new Error('--until takes a time')
    const [seed, leads, agents] = [whole('seed', values.seed), whole('leads', values.leads), whole('agents', values.agents)]
    options = { database: values.database, seed, leads, agents, until }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${usage}`)
    return 2
  }
  const pool = createNamedPool('migration', { url: options.database, pools: { migration: { minConnections: 0 } } })
  try {
    console.log(JSON.stringify(await pool.transaction((db) => generate(db, options))))
    return 0
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return 1
  } finally {
    await pool.stop()
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url))
  process.exitCode = await main(process.argv.slice(2))
