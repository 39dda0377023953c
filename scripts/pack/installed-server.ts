import { get } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { acquirePort } from '../../packages/tidemark/dist/state/state.js'
import { runCommand, wordsOf } from '../chaos/run-command.ts'

const timeoutMs = 120_000

const answerOf = (url: string): Promise<{ readonly status: number; readonly body: string } | undefined> =>
  new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: 5_000 }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(undefined))
  })

/** Starts `tidemark dev` where the packages are installed, asks it what a stranger would look at first, and stops it. */
export const serverProblems = async (
  folder: string,
  signal: AbortSignal,
  tell: (line: string) => void,
): Promise<readonly string[]> => {
  const port = await acquirePort()
  const at = performance.now()
  const { child, ended, said } = runCommand(folder, 'node_modules/.bin/tidemark', ['dev'], { PORT: String(port) })
  const url = `http://127.0.0.1:${port}`
  const problems: string[] = []
  try {
    while ((await answerOf(`${url}/livez`))?.status !== 200) {
      if (child.exitCode !== null || child.signalCode !== null) return [`tidemark dev: ${wordsOf(await ended)}`]
      if (performance.now() - at > timeoutMs || signal.aborted)
        return [`tidemark dev answered nothing within ${timeoutMs / 1000} s`]
      await pause(50)
    }
    tell(`ok    tidemark dev answers at /livez (${((performance.now() - at) / 1000).toFixed(1)} s)`)
    // Before that it is still starting, and a signal is an interruption.
    while (!said().stdout.includes('is ready')) {
      if (performance.now() - at > timeoutMs || signal.aborted) return [`tidemark dev was not ready within ${timeoutMs / 1000} s`]
      await pause(50)
    }
    const page = await answerOf(`${url}/`)
    if (page?.status !== 200 || !page.body.includes('<script'))
      problems.push(`the dashboard answers ${page?.status ?? 'nothing'} at /`)
    else tell('ok    the dashboard is served at /')
  } finally {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
  }
  const end = await ended
  if (end.code !== 0) problems.push(`tidemark dev after SIGTERM: ${wordsOf(end)}`)
  else tell('ok    SIGTERM ends it with 0')
  return problems
}
