import { connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../testing/fake-clock.js'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import type { Client, Pool } from '../postgres.js'
import { createNamedPool } from './pools.js'

const database = useDatabase()

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** Passes the first connections on to Postgres, and lets the others wait until it is told to. */
const openGate = async (passed: number) => {
  const { hostname, port } = new URL(database.url)
  const [all, held]: [Set<Socket>, Socket[]] = [new Set(), []]
  let [arrived, open] = [0, passed]
  const pass = (socket: Socket): void => {
    const server = connect(Number(port), hostname)
    for (const each of [socket, server]) each.on('error', () => undefined)
    socket.pipe(server).pipe(socket)
  }
  const gate = createServer((socket) => {
    all.add(socket)
    arrived += 1
    if (arrived <= open) pass(socket)
    else held.push(socket)
  })
  await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve))
  ends.push(() => {
    for (const socket of all) socket.destroy()
    return new Promise((resolve) => gate.close(resolve))
  })
  const url = new URL(database.url)
  url.port = String((gate.address() as { port: number }).port)
  return {
    url: url.href,
    get arrived() {
      return arrived
    },
    passAll: () => {
      open = Number.POSITIVE_INFINITY
      for (const socket of held.splice(0)) pass(socket)
    },
  }
}

const openPool = (url: string) => {
  const clock = createFakeClock()
  const pool = createNamedPool('primary', { url, clock, pools: { primary: { minConnections: 0 } } })
  ends.push(() => pool.stop(0))
  return { pool, clock }
}

const pidOf = async (client: Pick<Client, 'query'>): Promise<number> =>
  (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid

/** Takes a connection and keeps it. */
const keepOne = async (pool: Pool) => {
  let letGo = () => {}
  const freed = new Promise<void>((resolve) => {
    letGo = resolve
  })
  let pid = 0
  const done = pool.withClient(async (client) => {
    pid = await pidOf(client)
    await freed
  })
  await until(() => pid > 0)
  return {
    pid,
    free: async () => {
      letGo()
      await done
    },
  }
}

describe('callers who find no connection idle', () => {
  it('R134: have them opened one after the other, and no later than 20 ms after the one before', async () => {
    const gate = await openGate(0)
    const { pool, clock } = openPool(gate.url)
    const asked = [1, 2, 3].map(() => pool.query('select 1'))
    await until(() => gate.arrived === 1)
    await clock.advance(19)
    expect(gate.arrived).toBe(1)
    await clock.advance(1)
    await until(() => gate.arrived === 2)
    gate.passAll()
    // The first that is open serves the third as well.
    await Promise.all(asked)
  })

  it('R134: take the one that becomes idle before theirs is open', async () => {
    const gate = await openGate(1)
    const { pool } = openPool(gate.url)
    const first = await keepOne(pool)
    const opening = pool.query('select 1')
    await until(() => gate.arrived === 2)
    const waiting = pidOf(pool)
    await first.free()
    expect(await waiting).toBe(first.pid)
    expect(gate.arrived).toBe(2)
    gate.passAll()
    await opening
  })

  it('are told where none can be opened, each of them', async () => {
    const { pool } = openPool('postgres://ann:topsecret@127.0.0.1:1/app')
    const ask = () => pool.transaction(async () => undefined).catch(({ code }) => code)
    const failures = Array.from({ length: 5 }, ask)
    expect(pool.stats().inUse).toBe(5)
    await pool.stop(0)
    expect(new Set(await Promise.all(failures))).toEqual(new Set(['TM_POSTGRES_UNREACHABLE']))
  })
})
