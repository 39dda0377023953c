import { wait, watchFrames } from './frames.ts'
import { inTurns, type Part } from './part.ts'

const seconds = 4

/** A table of so many rows is scrolled from end to end, in turns with the same page at rest. */
export const scroll: Part = async ({ sql, open }, { rounds, table, signal }) => {
  await sql.query('create table scrolled (id int primary key, name text, at timestamptz default now())')
  await sql.query(`insert into scrolled (id, name) select n, 'row number ' || n from generate_series(1, $1) n`, [table])
  await sql.query('analyze scrolled')
  const { context, page } = await open('/data?table=public.scrolled&role=service_role')
  await page.getByText('row number 1', { exact: true }).waitFor()
  const grid = page.locator('[role="grid"]').last()
  await grid.focus()
  const [quiet, busy, end, thread]: [number[], number[], number[], number[]] = [[], [], [], []]
  const box = (await grid.boundingBox())!
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2)
  await inTurns(rounds, signal, async () => {
    await page.keyboard.press('Home')
    await page.getByText('row number 1', { exact: true }).waitFor()
    quiet.push((await watchFrames(page, () => wait(seconds * 1_000))).droppedShare * 100)
    const wheel = async (): Promise<void> => {
      const from = performance.now()
      while (performance.now() - from < seconds * 1_000) await page.mouse.wheel(0, 2_000)
    }
    const frames = await watchFrames(page, wheel)
    busy.push(frames.droppedShare * 100)
    thread.push(frames.busyShare * 100)
    const from = performance.now()
    await page.keyboard.press('End')
    await page.getByText(`row number ${table}`, { exact: true }).waitFor()
    end.push(performance.now() - from)
  })
  await context.close()
  const more = { name: 'dashboard-scroll-dropped-percent', values: busy.map((share, at) => Math.max(0, share - quiet[at]!)) }
  const work = { name: 'dashboard-scroll-work-percent', values: thread }
  const last = { name: 'dashboard-scroll-end-ms', values: end }
  return {
    figures: [
      { name: 'frames dropped at rest', values: quiet, unit: '%' },
      { name: 'frames dropped while scrolling', values: busy, unit: '%' },
      { ...more, unit: '% more than at rest' },
      { ...work, unit: '% of the time the page computes' },
      { ...last, unit: `ms until the last of ${table} rows is there` },
    ],
    measures: [more, work, last],
    targets: [
      { measure: more, what: `scrolling ${table} rows drops at most 10 % of the frames`, limit: 10, needsRoom: true },
      { measure: work, what: `scrolling ${table} rows leaves the page half of its time`, limit: 50 },
      { measure: last, what: 'the last row is there within a second', limit: 1_000, needsRoom: true },
    ],
  }
}
