#!/usr/bin/env node
/** Fills the tables with some weeks of agents: `node apps/agents/dist/generate.js --database URL --seed 1 --tasks 600`. */
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createNamedPool } from 'tidemark'
import { runStatement } from 'tidemark/app'
import { createRandom } from 'tidemark/testing'
import { type Flaws, makeAgents } from './make-agents.js'
import type { Db } from './rows.js'
import { json, tables } from './tables.js'

export interface GenerateOptions {
  /** The same seed and the same options give the same rows. Default 1. */
  readonly seed?: number
  /** Default 12. */
  readonly agents?: number
  /** Default 600. */
  readonly tasks?: number
  /** Default 14. */
  readonly days?: number
  /** Nothing is later. Default: now. */
  readonly until?: Date
}

export interface Generated {
  readonly counts: Readonly<Record<'agents' | 'tasks' | 'metrics', number>>
  /** What is wrong on purpose. */
  readonly flaws: Flaws
}

const batch = 500

const batchesOf = function* <T>(rows: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < rows.length; start += batch) yield rows.slice(start, start + batch)
}

/** In one transaction of the owner of the tables: history that is brought in, past the triggers that guard what happens now. */
export const generate = async (
  db: Db,
  { seed = 1, agents = 12, tasks = 600, days = 14, until = new Date() }: GenerateOptions = {},
): Promise<Generated> => {
  const made = makeAgents(createRandom(seed), { agents, tasks, days, untilMs: until.getTime() })
  await db.query("select set_config('tidemark.origin', 'move', true)")
  for (const some of batchesOf(made.agents)) {
    const values = some.map((agent) => ({
      ...agent,
      configuration: json(agent.configuration),
      resource_limits: json(agent.resource_limits),
      performance_thresholds: json(agent.performance_thresholds),
    }))
    await runStatement(db, tables.insertInto('agent_instances').values(values))
  }
  for (const some of batchesOf(made.tasks)) {
    const values = some.map(({ input_data, output_data, ...task }) => ({
      ...task,
      input_data: json(input_data),
      output_data: output_data === null ? null : json(output_data),
    }))
    await runStatement(db, tables.insertInto('agent_executions').values(values))
  }
  for (const some of batchesOf(made.metrics)) await runStatement(db, tables.insertInto('agent_metrics').values(some))
  const counts = { agents: made.agents.length, tasks: made.tasks.length, metrics: made.metrics.length }
  return { counts, flaws: made.flaws }
}

const usage = 'Usage: generate.js --database URL [--seed N] [--agents N] [--tasks N] [--days N] [--until TIME]\n'

const whole = (name: string, text: string): number => {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) throw new Error(`--${name} takes a whole number above 0`)
  return number
}

const optionsOf = (argv: readonly string[]): GenerateOptions & { readonly database: string } => {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      database: { type: 'string', default: process.env['OWNER_DATABASE_URL'] ?? process.env['DATABASE_URL'] ?? '' },
      seed: { type: 'string', default: '1' },
      agents: { type: 'string', default: '12' },
      tasks: { type: 'string', default: '600' },
      days: { type: 'string', default: '14' },
      until: { type: 'string', default: new Date().toISOString() },
    },
  })
  const until = new Date(values.until)
  if (values.database === '') throw new Error('name the database')
  if (Number.isNaN(until.getTime())) throw new Error('--until takes a time')
  const [seed, agents] = [whole('seed', values.seed), whole('agents', values.agents)]
  return { database: values.database, until, seed, agents, tasks: whole('tasks', values.tasks), days: whole('days', values.days) }
}

/** The command line; answers with the exit code. */
export const main = async (argv: readonly string[]): Promise<number> => {
  let options: ReturnType<typeof optionsOf>
  try {
    options = optionsOf(argv)
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
