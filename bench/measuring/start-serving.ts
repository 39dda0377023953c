import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** A process of its own, so that whoever asks and whoever answers do not share a thread. */
export interface Serving<Addresses> {
  /** Its first line, as JSON. */
  readonly addresses: Addresses
  stop(): Promise<void>
}

/** `script`: a file of bench/. */
export const startServing = async <Addresses>(
  script: string,
  env: Readonly<Record<string, string>>,
): Promise<Serving<Addresses>> => {
  const path = fileURLToPath(new URL(`../${script}`, import.meta.url))
  const child: ChildProcess = spawn(process.execPath, ['node_modules/.bin/jiti', path], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  const [said] = (await Promise.race([once(child.stdout!, 'data'), ended])) as [Buffer | number | null]
  if (!Buffer.isBuffer(said)) throw new Error(`the process that serves ended with ${String(said)}`)
  return { addresses: JSON.parse(said.toString()) as Addresses, stop }
}
