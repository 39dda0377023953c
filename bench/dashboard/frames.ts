import type { Page } from 'playwright-core'

/** Frames of a page while something went on. */
export interface Frames {
  readonly seconds: number
  readonly drawn: number
  /** Of those that 60 a second would have been. */
  readonly droppedShare: number
  /** The longest stretch without one. */
  readonly longestMs: number
  /** What the page's main thread computed, of one second: a machine that does other things besides does not make it more. */
  readonly busyShare: number
}

interface Watched {
  readonly requestAnimationFrame: (drawn: (at: number) => void) => number
  readonly performance: { now(): number }
  frames?: { readonly gaps: number[]; isOver: boolean; readonly from: number }
}

/** CPU seconds of the page's main thread so far. */
const openThreadTime = async (page: Page) => {
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  return {
    read: async (): Promise<number> => {
      const { metrics } = await session.send('Performance.getMetrics')
      return metrics.find(({ name }) => name === 'TaskDuration')?.value ?? Number.NaN
    },
    close: () => session.detach(),
  }
}

/** Counts frames as the page itself sees them, while `work` goes on. */
export const watchFrames = async (page: Page, work: () => Promise<unknown>): Promise<Frames> => {
  await page.evaluate(() => {
    const watched = globalThis as unknown as Watched
    const frames = { gaps: [] as number[], isOver: false, from: watched.performance.now() }
    watched.frames = frames
    let before: number | undefined
    const drawn = (at: number): void => {
      if (before !== undefined) frames.gaps.push(at - before)
      before = at
      if (!frames.isOver) watched.requestAnimationFrame(drawn)
    }
    watched.requestAnimationFrame(drawn)
  })
  const thread = await openThreadTime(page)
  const before = await thread.read()
  await work()
  const cpuSeconds = (await thread.read()) - before
  await thread.close()
  const { gaps, ms } = await page.evaluate(() => {
    const { frames, performance } = globalThis as unknown as Watched
    frames!.isOver = true
    return { gaps: frames!.gaps, ms: performance.now() - frames!.from }
  })
  const wanted = (ms / 1_000) * 60
  return {
    seconds: ms / 1_000,
    drawn: gaps.length,
    droppedShare: Math.max(0, 1 - gaps.length / wanted),
    longestMs: Math.max(0, ...gaps),
    busyShare: cpuSeconds / (ms / 1_000),
  }
}

export const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
