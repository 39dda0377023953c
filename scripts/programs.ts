/** Programs of the house that end with a verdict, run one after the other by another. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { root } from './repository.ts'

export interface ProgramEnd {
  readonly script: string
  /** Null where a signal ended it. */
  readonly code: number | null
  /** What it printed on stdout. */
  readonly output: string
  readonly lastLine: string
  readonly seconds: number
}

/** Runs one at the root of the checkout. What it says on stderr is passed on; `onLine` hears of each line of stdout. */
export const runScript = async (
  script: string,
  args: readonly string[],
  { signal, onLine }: { readonly signal?: AbortSignal; readonly onLine?: (line: string) => void } = {},
): Promise<ProgramEnd> => {
  const at = performance.now()
  const child = spawn(process.execPath, ['node_modules/.bin/jiti', script, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // They clean up behind themselves when they are asked to end.
  const end = (): void => void child.kill('SIGTERM')
  signal?.addEventListener('abort', end, { once: true })
  let output = ''
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    for (const line of lines) onLine?.(line)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  signal?.removeEventListener('abort', end)
  const lastLine = output.trim().split('\n').at(-1) ?? ''
  return { script, code, output, lastLine, seconds: (performance.now() - at) / 1000 }
}
