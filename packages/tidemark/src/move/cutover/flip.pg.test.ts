import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { beginCut, seal } from '../../sqlite/capture/cut.js'
import { logHead } from '../../sqlite/capture/log.js'
import { watchSchema } from '../../sqlite/capture/watch.js'
import { captureHold, openMoveFile } from '../live/file.js'
import type { HeldRun } from '../live/live-run.js'
import { Pause } from '../live/pause.js'
import { advance, requireLiveRun, takeOver } from '../live/record.js'
import { type LiveMove, useLiveMoves } from '../live/testing/live-moves.js'
import { prepareMirror } from '../mirror/prepare-mirror.js'
import { cutover } from './cutover.js'
import { flip } from './flip.js'

const moves = useLiveMoves()

interface Fenced {
  readonly move: LiveMove
  readonly held: HeldRun
  /** The switch, with what happens to the commit. */
  flip(client: pg.Client): Promise<HeldRun>
}

/** A move in the middle of its cutover: the file fenced, drained, and about to be sealed. */
const fenced = async (): Promise<Fenced> => {
  const move = await moves.makeReady()
  const run = await requireLiveRun(moves.client, { path: move.path })
  const held = await advance(moves.client, await takeOver(moves.client, run.id), 'following', 'cuttingOver')
  const file = await openMoveFile(move.options)
  const hold = captureHold(held)
  const { schemaVersion } = await file.read((db) => watchSchema(db))
  await beginCut(file, hold, { pauseMs: 60_000, schemaVersion })
  const drainedSeq = await file.read(logHead)
  const mirror = await prepareMirror({ ...move.options, held })
  const pause = new Pause({ kind: 'cutover', path: move.path, maxPauseMs: 50_000, signal: new AbortController().signal })
  return {
    move,
    held,
    flip: (client) =>
      flip(client, { ...move.options, held, mirror, pause, note: '', seal: () => seal(file, hold, { drainedSeq }) }).finally(
        () => {
          pause.stop()
          file.close()
        },
      ),
  }
}

const connect = async (): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: moves.url })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

/** A session whose commit is answered by nobody. */
const losing = (client: pg.Client, isCommitted: boolean): pg.Client => {
  const query = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>
  client.query = (async (...args: unknown[]) => {
    if (args[0] !== 'COMMIT') return query(...args)
    if (isCommitted) await query('COMMIT')
    await client.end()
    throw new Error('Connection terminated unexpectedly')
  }) as typeof client.query
  return client
}

describe('MOVE-4, S20: the commit of the switch', () => {
  it('is found to stand where only its answer was lost', async () => {
    const { move, flip: run } = await fenced()
    expect((await run(losing(await connect(), true))).run).toMatchObject({ state: 'mirroring' })
    expect(await move.status()).toMatchObject({ state: 'mirroring', file: { fence: 'cut' } })
  })

  it('is found not to stand where it was lost itself, which leaves a sealed file to whoever comes next', async () => {
    const { move, flip: run } = await fenced()
    await expect(run(losing(await connect(), false))).rejects.toThrow('Connection terminated unexpectedly')
    expect(await move.status()).toMatchObject({ state: 'cuttingOver', writer: 'none', file: { fence: 'cut' } })
    expect(await cutover(move.options)).toMatchObject({ ok: true, resumed: true })
  })

  it('does not come where the file was taken by another process before it was sealed', async () => {
    const { move, held, flip: run } = await fenced()
    const file = await openMoveFile(move.options)
    const other = await takeOver(moves.client, held.run.id)
    await file.write((db) => db.prepare('UPDATE _tidemark_control SET epoch = ?').run(other.epoch))
    file.close()
    const client = await connect()
    await expect(run(client)).rejects.toMatchObject({ code: 'TM_MOVE_FENCED' })
    await client.end()
    expect(await move.status()).toMatchObject({ state: 'cuttingOver', file: { fence: 'cutting' } })
  })
})

describe('MOVE-2: a cutover whose move is taken over', () => {
  it('ends without undoing what is another’s to undo', async () => {
    const move = await moves.makeReady()
    const { id } = await requireLiveRun(moves.client, { path: move.path })
    let taken: Promise<HeldRun> | undefined
    await expect(
      cutover({
        ...move.options,
        onEvent: (event) => {
          if (event.type === 'step' && event.step === 'refuse writes' && event.state === 'finished')
            taken = takeOver(moves.client, id)
        },
      }),
    ).rejects.toMatchObject({ code: 'TM_MOVE_FENCED' })
    expect(BigInt((await move.status()).epoch)).toBe((await taken!).epoch)
    expect(await move.status()).toMatchObject({ state: 'cuttingOver', file: { fence: 'cutting' } })
    await moves.client.query('UPDATE tidemark.move_runs SET holder_pid = NULL WHERE id = $1', [id])
    expect(await cutover(move.options)).toMatchObject({ ok: true, resumed: false })
  })
})
