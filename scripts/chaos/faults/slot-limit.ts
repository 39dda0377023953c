/**
 * Postgres gives up the mirror's slot, as it does before its log fills the disk: with the mirror away, the server is started with a low
 * `max_slot_wal_keep_size`, more than that is written, and the server is started again as it was. Until every table was compared anew, a
 * rollback must be refused.
 */
import pg from 'pg'
import { startEmbeddedPostgres } from '../../../packages/tidemark/dist/postgres/embedded/embedded.js'
import { openState } from '../../../packages/tidemark/dist/state/state.js'
import { fileName } from '../project.ts'
import { errorCodeOf, wordsOf } from '../run-command.ts'
import type { Fault, Storm } from './fault.ts'

const mirrorSlots = "pg_replication_slots WHERE slot_name LIKE '%mirror%'"
const rounds = 5

/** Answers with how many slots of a mirror were given up, and how many there were. */
const writeUntilLost = async (url: string): Promise<{ readonly lost: number; readonly there: number }> => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    let [lost, there] = [0, 0]
    for (let round = 0; round < rounds && (round === 0 || lost < there); round++) {
      await client.query('CREATE TABLE IF NOT EXISTS scratch (t text)')
      for (let segment = 0; segment < 3; segment++) {
        await client.query("INSERT INTO scratch SELECT repeat('wal', 1000) FROM generate_series(1, 200)")
        await client.query('SELECT pg_switch_wal()')
      }
      await client.query('CHECKPOINT')
      const { rows } = await client.query(
        `SELECT count(*)::int AS there, count(*) FILTER (WHERE wal_status = 'lost')::int AS lost FROM ${mirrorSlots}`,
      )
      ;({ lost, there } = rows[0] as { lost: number; there: number })
    }
    await client.query('DROP TABLE scratch')
    return { lost, there }
  } finally {
    await client.end()
  }
}

const checkRollbackRefused = async ({ project, tally }: Storm): Promise<void> => {
  const ended = await project.run('move', 'rollback', fileName, '--max-pause', '20s')
  const code = errorCodeOf(ended)
  if (ended.code === 0) tally.fail(`a rollback went through although changes for the file were lost: ${wordsOf(ended)}`)
  else if (code === undefined || code === 'TM_INTERNAL')
    tally.fail(`after the loss of the slot, the rollback ended with ${wordsOf(ended)}`)
  else tally.refuse(code)
}

export const slotLimit: Fault = {
  phases: ['cutover', 'mirroring', 'rollback'],
  between: true,
  strike: async (storm, phase) => {
    const { project, dice, tally } = storm
    const before = await project.moveState()
    await project.stopServer()
    const state = await openState(project.stateDir)
    const postgres = await startEmbeddedPostgres({ state, settings: { max_slot_wal_keep_size: '1MB' }, restart: false })
    if (postgres.attached) throw new Error('Postgres was not stopped')
    const { lost, there } = await writeUntilLost(postgres.url).finally(() => postgres.stop())
    await project.startServer()
    if (lost < there) throw new Error(`Postgres keeps ${there - lost} of ${there} slots, whatever is written`)
    if (before === 'mirroring' && there === 0) tally.fail(`${phase}: the mirror has no slot`)
    if (before === 'mirroring' && lost > 0 && dice() < 0.5) await checkRollbackRefused(storm)
    return lost > 0 ? 'lost' : undefined
  },
}
