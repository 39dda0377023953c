import { wait, watchFrames } from './frames.ts'
import { inTurns, type Part } from './part.ts'

const seconds = 5
const perStatement = 20

/** So many rows a second come onto the Feed screen, in turns with the same page while nothing comes. */
export const rows: Part = async ({ sql, open }, { rounds, rows: perSecond, signal }) => {
  await sql.query('create table streamed (id bigint generated always as identity primary key, body text)')
  const { context, page } = await open('/feed?tables=public.streamed')
  await page.getByText(/^live, /).waitFor()
  const seen = async (): Promise<number> => {
    const text = await page.getByText(/^live, /).textContent()
    return Number((text ?? '').replace(/\D/g, ''))
  }
  const write = async (): Promise<void> => {
    const from = performance.now()
    for (let sent = 0; sent < perSecond * seconds; sent += perStatement) {
      await wait(from + (sent / perSecond) * 1_000 - performance.now())
      await sql.query(`insert into streamed (body) select 'row ' || n from generate_series(1, $1) n`, [perStatement])
    }
  }
  const [quiet, busy, longest, late, thread]: [number[], number[], number[], number[], number[]] = [[], [], [], [], []]
  let expected = 0
  await inTurns(rounds, signal, async () => {
    quiet.push((await watchFrames(page, () => wait(seconds * 1_000))).droppedShare * 100)
    const frames = await watchFrames(page, write)
    expected += perSecond * seconds
    const written = performance.now()
    while ((await seen()) < expected && performance.now() - written < 30_000) await wait(20)
    late.push(performance.now() - written)
    busy.push(frames.droppedShare * 100)
    longest.push(frames.longestMs)
    thread.push(frames.busyShare * 100)
  })
  const told = await seen()
  await context.close()
  const more = { name: 'dashboard-rows-dropped-percent', values: busy.map((share, at) => Math.max(0, share - quiet[at]!)) }
  const work = { name: 'dashboard-rows-work-percent', values: thread }
  const missing = { name: 'dashboard-rows-missing', values: [expected - told] }
  return {
    figures: [
      { name: 'frames dropped while nothing comes', values: quiet, unit: '%' },
      { name: `frames dropped at ${perSecond} rows a second`, values: busy, unit: '%' },
      { ...more, unit: '% more than without' },
      { ...work, unit: '% of the time the page computes' },
      { name: 'longest stretch without a frame', values: longest, unit: 'ms' },
      { name: 'the last row, after the last was written', values: late, unit: 'ms' },
    ],
    measures: [more, work, missing],
    targets: [
      { measure: more, what: `${perSecond} rows a second drop at most 5 % of the frames`, limit: 5, needsRoom: true },
      { measure: work, what: `${perSecond} rows a second leave the page half of its time`, limit: 50 },
      { measure: missing, what: 'no row is missing', limit: 0 },
    ],
  }
}
