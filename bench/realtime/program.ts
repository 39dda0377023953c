/** A process of the benchmark that answers calls. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Answered, CrowdCalls, ServingCalls } from './words.ts'

const jiti = fileURLToPath(new URL('../../node_modules/jiti/lib/jiti-cli.mjs', import.meta.url))

interface Waiting {
  resolve(answer: never): void
  reject(error: Error): void
}

export class Program<C extends { [N in keyof C]: { readonly given: object; readonly answer: object } }> {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0

  constructor(script: string, nodeArguments: readonly string[] = []) {
    const path = fileURLToPath(new URL(script, import.meta.url))
    this.#child = spawn(process.execPath, [...nodeArguments, jiti, path], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#child.on('message', ({ id, answer, error }: Answered) => {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) waiting?.resolve(answer as never)
      else waiting?.reject(new Error(error))
    })
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${script} ended with ${code ?? signal}`))
      this.#waiting.clear()
    })
  }

  ask<N extends keyof C & string>(name: N, given: C[N]['given']): Promise<C[N]['answer']> {
    const id = this.#calls++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#child.send({ id, name, given }, (error) => error && reject(error))
    })
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await ended
  }
}

export const startCrowd = (): Program<CrowdCalls> => new Program('crowd.ts')
/** Collections of garbage are asked for: memory that could be had back at any time is not what a connection takes. */
export const startServing = (): Program<ServingCalls> => new Program('serving.ts', ['--expose-gc'])
