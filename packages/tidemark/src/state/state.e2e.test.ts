import { execFileSync, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { until } from '../time/until.js'
import { isAlive, openState, processIdentity } from './state.js'

const isRoot = process.getuid?.() === 0

let base: string
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'tidemark-state-'))
})
afterEach(() => rm(base, { recursive: true, force: true }))

/** Another process that takes the lock and a hold, says so, and keeps both. */
const other = async () => {
  const script = join(base, 'other.mjs')
  await writeFile(
    script,
    `import { openState } from ${JSON.stringify(fileURLToPath(new URL('../../dist/state/state.js', import.meta.url)))}
     const state = await openState(${JSON.stringify(join(base, 'state'))})
     await state.lock('shared', async () => {
       await state.child('server').hold()
       console.log('ready')
       await new Promise((resolve) => setTimeout(resolve, 60_000))
     })`,
  )
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => createInterface({ input: child.stdout }).once('line', resolve))
  return child
}

describe('a process that was killed', () => {
  it('holds neither its lock nor its child any longer', async () => {
    const child = await other()
    const state = await openState(join(base, 'state'))
    const identity = (await processIdentity(child.pid!))!
    expect(await state.child('server').holders()).toEqual([identity])
    await expect(state.lock('shared', async () => 1, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'TM_STATE_LOCKED',
      parameters: { pid: child.pid },
    })
    child.kill('SIGKILL')
    await until(async () => !(await isAlive(identity)))
    expect(await state.lock('shared', async () => 1)).toBe(1)
    expect(await state.child('server').release()).toBe(true)
  })
})

describe('a process that nobody waited for', () => {
  it('is dead, though its pid is still listed', async () => {
    const shell = spawn('sh', ['-c', 'sleep 0 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      const pid = Number(await new Promise<string>((resolve) => createInterface({ input: shell.stdout }).once('line', resolve)))
      await until(async () => (await processIdentity(pid)) === undefined)
      expect(process.kill(pid, 0)).toBe(true)
    } finally {
      shell.kill('SIGKILL')
    }
  })
})

describe.runIf(isRoot)('a disk', () => {
  const mounted = async (options: string, use: (dir: string) => Promise<void>) => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', base])
    try {
      await use(base)
    } finally {
      execFileSync('umount', ['-l', base])
    }
  }

  it('that is full makes the folder unusable, and says so', async () => {
    await mounted('size=64k', async (dir) => {
      const state = await openState(join(dir, 'state'))
      await writeFile(join(dir, 'ballast'), Buffer.alloc(1 << 20)).catch(() => undefined)
      const full = { code: 'TM_STATE_FOLDER_UNUSABLE', message: expect.stringContaining('no space is left') }
      await expect(state.secret('one')).rejects.toMatchObject(full)
      await expect(state.child('server').write({ pid: 1, start: 'x', port: 1, startedAtMs: 1 })).rejects.toMatchObject(full)
      await rm(join(dir, 'ballast'))
      expect(await state.secret('one')).toHaveLength(43)
    })
  })

  it('that is read-only makes the folder unusable, and says so', async () => {
    await mounted('size=64k', async (dir) => {
      execFileSync('mount', ['-o', 'remount,ro', dir])
      await expect(openState(join(dir, 'state'))).rejects.toMatchObject({
        code: 'TM_STATE_FOLDER_UNUSABLE',
        message: expect.stringContaining('read-only file system'),
      })
    })
  })
})
