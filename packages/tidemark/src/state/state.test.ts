import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acquirePort, isAlive, openState, ownIdentity, processIdentity } from './state.js'

let base: string
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'tidemark-state-'))
})
afterEach(() => rm(base, { recursive: true, force: true }))

const open = () => openState(join(base, '.tidemark'))
const modeOf = async (path: string) => (await stat(path)).mode & 0o777

describe('the state folder', () => {
  it('is made for its user alone and keeps itself out of version control', async () => {
    const { dir } = await open()
    expect(await modeOf(dir)).toBe(0o700)
    expect(await readFile(join(dir, '.gitignore'), 'utf8')).toBe('*\n')
  })

  it('leaves the mode of a folder that is there as it is', async () => {
    const { dir } = await open()
    await chmod(dir, 0o711)
    await open()
    expect(await modeOf(dir)).toBe(0o711)
  })

  it('cannot be where a file stands', async () => {
    await writeFile(join(base, 'file'), '')
    for (const path of [join(base, 'file'), join(base, 'file', 'below')]) {
      await expect(openState(path)).rejects.toMatchObject({
        code: 'TM_STATE_FOLDER_UNUSABLE',
        message: expect.stringContaining('a file stands where a folder is needed'),
      })
    }
  })

  it('refuses names that would lead out of it', async () => {
    const state = await open()
    expect(() => state.child('../elsewhere')).toThrow(/not a name/)
    expect(() => state.lock('a/b', async () => undefined)).toThrow(/not a name/)
  })
})

describe('a secret', () => {
  it('is made once, also when many ask at the same time, and only its user may read it', async () => {
    const states = await Promise.all([open(), open(), open()])
    const secrets = await Promise.all(states.flatMap((state) => [state.secret('one'), state.secret('one'), state.secret('two')]))
    expect(new Set(secrets).size).toBe(2)
    expect(await states[0]!.secret('one')).toBe(secrets[0])
    expect(secrets[0]).toMatch(/^[\w-]{43}$/)
    expect(await modeOf(join(states[0]!.dir, 'secrets.json'))).toBe(0o600)
  })

  it('is what the given function makes, the first time', async () => {
    const state = await open()
    expect(await state.secret('made', () => 'by hand')).toBe('by hand')
    expect(await state.secret('made', () => 'again')).toBe('by hand')
  })

  it('is not made anew over a damaged file, whose content the error does not quote', async () => {
    const state = await open()
    for (const damaged of ['{"one": "topsecret', '["topsecret"', '{"topsecret": 1}']) {
      await writeFile(join(state.dir, 'secrets.json'), damaged)
      const error = await state.secret('one').catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'TM_STATE_FOLDER_UNUSABLE' })
      expect(String(error)).not.toContain('topsecret')
      expect(await readFile(join(state.dir, 'secrets.json'), 'utf8')).toBe(damaged)
    }
  })
})

describe('a child', () => {
  const info = { pid: 1, start: 'x', port: 5432, startedAtMs: 7, details: { version: '18.4' } }

  it('is read as it was written, until it is cleared', async () => {
    const state = await open()
    expect(await state.child('postgres').read()).toBeUndefined()
    await state.child('postgres').write(info)
    expect(await state.child('postgres').read()).toEqual(info)
    expect(await state.child('redis').read()).toBeUndefined()
    await state.child('postgres').clear()
    expect(await state.child('postgres').read()).toBeUndefined()
  })

  it('counts as unknown where its record is damaged', async () => {
    const state = await open()
    await state.child('postgres').write(info)
    for (const damaged of ['', '{', '[]', 'null', '{"pid": "1"}']) {
      await writeFile(join(state.dir, 'children', 'postgres.json'), damaged)
      expect(await state.child('postgres').read()).toBeUndefined()
    }
  })

  it('is let go by the last holder, and each hold counts', async () => {
    const state = await open()
    const [one, two] = [state.child('postgres'), state.child('postgres')]
    await one.hold()
    await one.hold()
    await two.hold()
    const own = await ownIdentity()
    expect(await one.holders()).toEqual([own, own])
    expect(await one.release()).toBe(false)
    expect(await two.release()).toBe(true)
    expect(await two.release()).toBe(true)
  })

  it('is not held by processes that are gone, or whose pid another process has now', async () => {
    const state = await open()
    const child = state.child('postgres')
    await child.hold()
    const { pid, start } = await ownIdentity()
    const dir = join(state.dir, 'holders', 'postgres')
    for (const mark of [`${pid}-${start}9-1`, `4194999-${start}-1`, 'nonsense']) await writeFile(join(dir, mark), '')
    expect(await child.holders()).toEqual([{ pid, start }])
    expect(await readdir(dir)).toHaveLength(1)
    expect(await child.release()).toBe(true)
  })
})

describe('the identity of a process', () => {
  it('tells this process from a later one with its pid', async () => {
    const own = await ownIdentity()
    expect(await processIdentity(process.pid)).toEqual(own)
    expect(await isAlive(own)).toBe(true)
    expect(await isAlive({ ...own, start: `${own.start}9` })).toBe(false)
  })

  it.each(['darwin', 'win32'])('is asked for in the way of %s', async (platform) => {
    const own = await processIdentity(process.pid, platform)
    expect(own).toEqual(await processIdentity(process.pid, platform))
    expect(own?.start).toMatch(platform === 'win32' ? /^unknown$/ : /^\w{3}\.\w{3}\.\d+\.\d\d\.\d\d\.\d\d\.\d{4}$/)
    expect(await processIdentity(4_194_999, platform)).toBeUndefined()
  })

  it('is not to be had of a pid that nobody has', async () => {
    for (const pid of [0, -1, 1.5, Number.NaN, 4_194_999]) expect(await processIdentity(pid)).toBeUndefined()
  })
})

describe('a port', () => {
  it('is the preferred one where it is free, and the next where it is not', async () => {
    const first = await acquirePort()
    const free = await acquirePort(first)
    expect(free).toBe(first)
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(first, '127.0.0.1', resolve))
    expect(await acquirePort(first)).toBeGreaterThan(first)
    await new Promise((resolve) => server.close(resolve))
  })
})
