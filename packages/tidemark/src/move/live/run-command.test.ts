import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { useFolder } from '../../testing/use-folder.js'
import { runCommand } from './run-command.js'

const folder = useFolder('command')
const node = (script: string, ...rest: string[]) => [process.execPath, '-e', script, ...rest]

describe('the command after a switch', () => {
  it('is told the state and who takes writes, and gets its arguments without a shell', async () => {
    const path = join(folder, 'told')
    const script =
      "require('fs').writeFileSync(process.argv[1], [process.env.TIDEMARK_MOVE_STATE, process.env.DATABASE_PROVIDER, process.argv[2]].join(' '))"
    const command = node(script, path, '$HOME; `x`')
    expect(await runCommand(command, 'mirroring')).toEqual({ command, exitCode: 0, failure: null })
    expect(readFileSync(path, 'utf8')).toBe('mirroring postgres $HOME; `x`')
    await runCommand(node(script, path, 'back'), 'rolledBack')
    expect(readFileSync(path, 'utf8')).toBe('rolledBack sqlite back')
  })

  it('fails as an answer: with what it wrote last, or why it could not start', async () => {
    expect(await runCommand(node("console.error('no route'); process.exit(3)"), 'mirroring')).toMatchObject({
      exitCode: 3,
      failure: 'no route',
    })
    expect(await runCommand(node('process.exit(4)'), 'mirroring')).toMatchObject({ exitCode: 4, failure: 'it ended with 4' })
    expect(await runCommand(node("process.kill(process.pid, 'SIGKILL')"), 'mirroring')).toMatchObject({
      exitCode: null,
      failure: 'it was ended by SIGKILL',
    })
    expect(await runCommand([join(folder, 'missing')], 'mirroring')).toMatchObject({
      exitCode: null,
      failure: expect.stringContaining('ENOENT') as string,
    })
  })
})
