#!/usr/bin/env node
/** Fills the tables with a house's last half year: `node apps/re-engine/dist/generate.js --database URL --seed 1 --leads 500`. */
import { createRandom, isStarted, runFillCommand } from 'tidemark/testing'
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

/** The command line; answers with the exit code. */
export const main = (argv: readonly string[]): Promise<number> =>
  runFillCommand(argv, { usage, numbers: { seed: 1, leads: 500, agents: 12 }, fill: generate })

if (isStarted(import.meta.url)) process.exitCode = await main(process.argv.slice(2))
