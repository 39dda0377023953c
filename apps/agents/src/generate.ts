#!/usr/bin/env node
/** Fills the tables with some weeks of agents: `node apps/agents/dist/generate.js --database URL --seed 1 --tasks 600`. */
import { runStatement } from 'tidemark/app'
import { createRandom, isStarted, runFillCommand } from 'tidemark/testing'
import { type Flaws, makeAgents } from './make-agents.js'
import type { Db } from './repository/rows.js'
import { json, tables } from './repository/tables.js'

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

/** The command line; answers with the exit code. */
export const main = (argv: readonly string[]): Promise<number> =>
  runFillCommand(argv, { usage, numbers: { seed: 1, agents: 12, tasks: 600, days: 14 }, fill: generate })

if (isStarted(import.meta.url)) process.exitCode = await main(process.argv.slice(2))
