/** The application before the cutover: a Python program that hammers the file, and which of its transactions were accepted. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Project } from '../project.ts'

const program = fileURLToPath(new URL('sqlite-writer.py', import.meta.url))

export interface SqliteWriterOptions {
  readonly name: string
  readonly seed: number
  /** Now and then a table is made anew, as migrations do. */
  readonly rebuilds: boolean
}

export class SqliteWriter {
  readonly accepted = new Set<number>()
  readonly name: string
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  constructor({ path, clock }: Project, { name, seed, rebuilds }: SqliteWriterOptions) {
    this.name = name
    const args = [program, path, '--writer', name, '--seed', String(seed), ...(rebuilds ? ['--rebuilds'] : [])]
    this.#child = spawn('python3', args, { env: { ...process.env, ...clock.env }, stdio: ['ignore', 'pipe', 'ignore'] })
    let rest = ''
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = `${rest}${text}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.accepted.add(Number(line))
    })
    this.#ended = once(this.#child, 'close')
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    await this.#ended
  }
}
