import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

const commandLineOf = async (pid: number, platform: string): Promise<string> => {
  if (platform === 'linux') return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')
  const listed = await run('ps', ['-ww', '-o', 'args=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
  return listed.stdout
}

/** True where the process was started with that text among its arguments. Windows does not tell, so there any process will do. */
export const commandLineNames = async (pid: number, text: string, platform: string = process.platform): Promise<boolean> =>
  platform === 'win32' || (await commandLineOf(pid, platform)).includes(text)
