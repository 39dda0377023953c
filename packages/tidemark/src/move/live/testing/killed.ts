/** Runs a command of a live move in a process of its own, which ends itself as `kill -9` does at a named place. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { killVariable } from '../crash-point.js'

/** Built, since a plain process cannot run the sources. */
const built = (module: string): string =>
  new URL(module, import.meta.url.replace(/\/src\/move\/live\/testing\/.*$/, '/dist/move/')).href

const script = `
  const [module, name, options] = process.argv.slice(1)
  const command = (await import(module))[name]
  await command(JSON.parse(options)).then(
    (report) => console.log(JSON.stringify({ report })),
    (error) => console.log(JSON.stringify({ error: { code: error.code, message: error.message } })))`

export interface Ended {
  readonly signal: NodeJS.Signals | null
  /** What it said, where it lived to say it. */
  readonly answer: { readonly report?: unknown; readonly error?: { readonly code: string; readonly message: string } } | null
}

/** `module` as in `cutover/cutover.js`; `at` is the name of the crash point, or none to let it live. */
export const runKilled = async (module: string, name: string, options: object, at: string | null): Promise<Ended> => {
  const env = { PATH: process.env['PATH'], ...(at !== null && { [killVariable]: at }) }
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, built(module), name, JSON.stringify(options)], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const [, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { signal, answer: said.trim() === '' ? null : (JSON.parse(said) as Ended['answer']) }
}
