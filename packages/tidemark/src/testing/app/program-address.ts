import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

/** Longer than a start takes on the slowest machine. */
const startTimeoutMs = 120_000

/** The end of what it wrote to standard error is why a program did not start. */
const toldChars = 2_000

/**
 * The line in which a program tells its address: a JSON object that begins with `url`. What it writes to standard error is handed on. Raises with
 * the end of that where it ends without an address.
 */
export const programAddress = (child: ChildProcess, program: string, onSaid: (text: string) => void): Promise<string> =>
  new Promise((resolve, reject) => {
    let said = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      onSaid(text)
      said = (said + text).slice(-toldChars)
    })
    const fail = (how: string) => reject(new Error(`${program} ${how}${said === '' ? '.' : `:\n${said}`}`))
    const timer = setTimeout(() => fail('did not tell its address in time'), startTimeoutMs)
    child.once('error', ({ message }) => fail(`could not be started (${message})`))
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      fail(`ended with ${signal ?? code} before it told its address`)
    })
    createInterface({ input: child.stdout! }).on('line', (line) => {
      if (!line.startsWith('{"url"')) return
      clearTimeout(timer)
      resolve((JSON.parse(line) as { url: string }).url)
    })
  })
