/** Postgres dies, is restarted, or ends sessions. */
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { isGone, type Project } from '../project.ts'
import { between, oneOf } from '../random.ts'
import { everywhere, type Fault } from './fault.ts'

/** As the server's superuser, since Tidemark's roles may not end each other's sessions. */
const asSuperuser = async <T>(project: Project, work: (client: pg.Client) => Promise<T>): Promise<T | undefined> => {
  const client = new pg.Client({ connectionString: await project.superuserUrl(), connectionTimeoutMillis: 2000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await work(client)
  } catch (error) {
    // It may just be down, by what struck before.
    if (/^42/.test(String((error as pg.DatabaseError).code))) throw error
    return undefined
  } finally {
    await client.end().catch(() => undefined)
  }
}

const terminate = (client: pg.Client, from: string, limit: number): Promise<number> =>
  client
    .query(`SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM ${from} ORDER BY random() LIMIT ${limit}) AS chosen`)
    .then(({ rowCount }) => rowCount ?? 0)

const clients = "pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"

/** By how the server ends: it dies, all its sessions are cut at once, or it is shut down in order, and somebody starts it again. */
const ends = [
  ['SIGKILL', 'killed'],
  ['SIGQUIT', 'stopped at once'],
  ['SIGINT', 'shut down'],
] as const

export const postgresRestart: Fault = {
  phases: everywhere,
  strike: async ({ project, dice }) => {
    if (dice() < 0.25) {
      const ended = await asSuperuser(project, (client) => terminate(client, clients, between(dice, 1, 4)))
      return ended ? 'sessions ended' : undefined
    }
    const postgres = await project.child('postgres')
    const [signal, word] = oneOf(dice, ends)
    if (!postgres) return undefined
    try {
      process.kill(postgres.pid, signal)
    } catch {
      return undefined
    }
    if (!(await isGone(postgres.pid))) throw new Error(`Postgres does not end by ${signal}`)
    await project.reachPostgres()
    return word
  },
}

export const walsender: Fault = {
  phases: ['cutover', 'mirroring', 'rollback'],
  strike: async ({ project }) => {
    // A cutover has one for a moment only.
    for (let look = 0; look < 40; look++) {
      const ended = await asSuperuser(project, (client) => terminate(client, 'pg_stat_replication', 10))
      if (ended) return 'ended'
      await pause(25)
    }
    return undefined
  },
}
