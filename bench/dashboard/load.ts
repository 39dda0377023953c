import { inTurns, type Part } from './part.ts'

/** How often something had to be there before it was known what to ask for next. */
const openWaterfall = () => {
  const levels = new Map<string, number>()
  /** Of what scripts asked for: whatever was there already may have been waited for. */
  let answered = 1
  return {
    began: (id: string, by: 'page' | 'markup' | 'script'): void => {
      levels.set(id, by === 'page' ? 0 : by === 'markup' ? 1 : answered + 1)
    },
    ended: (id: string): void => {
      answered = Math.max(answered, levels.get(id) ?? 0)
    },
    get requests() {
      return levels.size
    },
    get depth() {
      return Math.max(0, ...levels.values())
    },
  }
}

/** From asking for the page to a screen that takes input; by a browser that keeps nothing from before. */
export const load: Part = async ({ url, open, window }, { rounds, signal }) => {
  const { context: signedIn } = await open('/')
  const cookies = await signedIn.cookies(`${url}/admin/v1`)
  await signedIn.close()
  const [kilobytes, interactive, requests, depths]: [number[], number[], number[], number[]] = [[], [], [], []]
  await inTurns(rounds, signal, async () => {
    const context = await window()
    await context.addCookies(cookies)
    const page = await context.newPage()
    const session = await context.newCDPSession(page)
    await session.send('Network.enable')
    let bytes = 0
    const waterfall = openWaterfall()
    session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      bytes += encodedDataLength
      waterfall.ended(requestId)
    })
    session.on('Network.requestWillBeSent', ({ requestId, type, initiator }) =>
      waterfall.began(requestId, type === 'Document' ? 'page' : initiator.type === 'script' ? 'script' : 'markup'),
    )
    const from = performance.now()
    await page.goto(`${url}/cache`, { waitUntil: 'commit' })
    await page.getByRole('textbox', { name: 'Key' }).fill('a')
    interactive.push(performance.now() - from)
    await page.waitForLoadState('networkidle')
    kilobytes.push(bytes / 1_024)
    requests.push(waterfall.requests)
    depths.push(waterfall.depth)
    await context.close()
  })
  const sizes = { name: 'dashboard-first-load-kib', values: kilobytes }
  const depth = { name: 'dashboard-waterfall-depth', values: depths }
  const times = { name: 'dashboard-interactive-ms', values: interactive }
  return {
    figures: [
      { ...sizes, unit: 'KiB as sent, with answers' },
      { ...times, unit: 'ms until a field takes text' },
      { name: 'requests of a first load', values: requests, unit: '' },
      { ...depth, unit: 'rounds of requests behind the page' },
    ],
    measures: [sizes, times, depth],
    targets: [
      { measure: sizes, what: 'a first load is at most 200 KB', limit: 200 },
      { measure: times, what: 'interactive within a second', limit: 1_000, needsRoom: true },
      { measure: depth, what: 'no waterfall is deeper than two rounds', limit: 2 },
    ],
  }
}
