import { inTurns, type Part } from './part.ts'

/** From asking for the page to a screen that takes input; by a browser that keeps nothing from before. */
export const load: Part = async ({ url, open, window }, { rounds, signal }) => {
  const { context: signedIn } = await open('/')
  const cookies = await signedIn.cookies(`${url}/admin/v1`)
  await signedIn.close()
  const [kilobytes, interactive, requests]: [number[], number[], number[]] = [[], [], []]
  await inTurns(rounds, signal, async () => {
    const context = await window()
    await context.addCookies(cookies)
    const page = await context.newPage()
    const session = await context.newCDPSession(page)
    await session.send('Network.enable')
    let bytes = 0
    let asked = 0
    session.on('Network.loadingFinished', ({ encodedDataLength }) => {
      bytes += encodedDataLength
    })
    session.on('Network.requestWillBeSent', () => {
      asked += 1
    })
    const from = performance.now()
    await page.goto(`${url}/cache`, { waitUntil: 'commit' })
    await page.getByRole('textbox', { name: 'Key' }).fill('a')
    interactive.push(performance.now() - from)
    await page.waitForLoadState('networkidle')
    kilobytes.push(bytes / 1_024)
    requests.push(asked)
    await context.close()
  })
  const sizes = { name: 'dashboard-first-load-kib', values: kilobytes }
  const times = { name: 'dashboard-interactive-ms', values: interactive }
  return {
    figures: [
      { ...sizes, unit: 'KiB as sent, with answers' },
      { ...times, unit: 'ms until a field takes text' },
      { name: 'requests of a first load', values: requests, unit: '' },
    ],
    measures: [sizes, times],
    targets: [
      { measure: sizes, what: 'a first load is at most 200 KB', limit: 200 },
      { measure: times, what: 'interactive within a second', limit: 1_000 },
    ],
  }
}
