import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { afterAll, expect, it } from 'vitest'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { useFolder } from '../../testing/use-folder.js'
import { until } from '../../time/until.js'
import { MirroredFile } from './testing/mirrored-file.js'
import { randomTables } from './testing/random-statements.js'

const folder = useFolder('mirror-killed')
const database = useDatabase()
let file: MirroredFile

afterAll(() => file.close())

/** The built mirror, in a process that can be killed. */
const runMirror = (file: MirroredFile): ChildProcess => {
  const module = new URL('../../../dist/move/mirror/open-mirror.js', import.meta.url).href
  const record = new URL('../../../dist/move/live/record.js', import.meta.url).href
  const session = new URL('../../../dist/move/live/session.js', import.meta.url).href
  const script = `
    const [{ openMirror }, { takeOver }, { connectMove }] = await Promise.all(['${module}', '${record}', '${session}'].map((url) => import(url)))
    const target = ${JSON.stringify(file.target)}
    const client = await connectMove(target)
    const held = await takeOver(client, '${file.held.run.id}')
    const mirror = await openMirror({ held, target })
    process.stdout.write('open')
    for (;;) await mirror.tick()`
  return spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
}

/** Tokens that no two statements share, so that one applied twice or not at all shows itself in tables without a key. */
const write = async (file: MirroredFile, i: number): Promise<void> => {
  const { client } = file
  await client.query('BEGIN')
  await client.query('INSERT INTO loose SELECT $1::int, g::text FROM generate_series(1, 3) AS g', [i])
  await client.query('INSERT INTO keyed (n, v) VALUES ($1, $2)', [i + 100, `v${i}`])
  if (i % 5 === 0) await client.query('DELETE FROM loose WHERE ctid = (SELECT ctid FROM loose WHERE a = $1 LIMIT 1)', [i - 3])
  if (i % 7 === 0) await client.query("UPDATE loose SET v = v || '!' WHERE a = $1", [i - 5])
  if (i % 40 === 0) await client.query("INSERT INTO loose SELECT $1::int, repeat('x', 400) FROM generate_series(1, 1000)", [-i])
  if (i % 60 === 0) await client.query('UPDATE keyed SET n = -n')
  await client.query('COMMIT')
}

const kills = Number(process.env['TIDEMARK_TEST_KILLS'] ?? 6)

it('MOVE-2, MOVE-5: killed at any moment, a mirror applies every change once', async () => {
  file = await MirroredFile.open({ folder, url: database.url, schema: 'killed', make: randomTables })
  let done = false
  let written = 0
  const writing = (async () => {
    while (!done) {
      await write(file, ++written)
      await setTimeout(2)
    }
  })()
  let child: ChildProcess | undefined
  const positions = new Set<unknown>()
  const position = () => file.reader.prepare('SELECT mirrored_position FROM _tidemark_control').pluck().get()
  try {
    for (let i = 0; i < kills; i++) {
      child = runMirror(file)
      const ended = once(child, 'exit')
      await Promise.race([
        once(child.stdout!, 'data'),
        ended.then(([code]) => Promise.reject(new Error(`the mirror ended with ${code}`))),
      ])
      // Some are killed as soon as they read, others once they have written.
      const before = position()
      if (i % 2 === 1) await until(() => position() !== before, { timeoutMs: 30_000 })
      await setTimeout(Math.random() * 500)
      child.kill('SIGKILL')
      await ended
      positions.add(position())
    }
  } finally {
    child?.kill('SIGKILL')
    done = true
    await writing
  }
  const { rows } = await file.client.query<{ epoch: string }>('SELECT epoch FROM tidemark.move_runs WHERE id = $1', [
    file.held.run.id,
  ])
  file.held = { ...file.held, epoch: BigInt(rows[0]!.epoch) + 1n }
  await file.client.query('UPDATE tidemark.move_runs SET epoch = $2 WHERE id = $1', [file.held.run.id, file.held.epoch])
  const mirror = await file.mirror()
  await file.write(mirror)
  expect(written).toBeGreaterThan(kills)
  expect(positions.size, 'some of the mirrors came somewhere').toBeGreaterThan(2)
  expect(await file.unlike()).toEqual([])
  expect(await file.differences()).toEqual([])
}, 180_000)
