import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { useApps } from './use-apps.js'

describe('a program that tests start', () => {
  let dir: string
  const start = useApps()

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tidemark-apps-'))
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  const startWritten = async (name: string, source: string) => {
    await writeFile(join(dir, name), source)
    return start(join(dir, name), { cwd: dir, env: {} })
  }

  it('tells its address', async () => {
    const source = `console.log('hello'); console.log(JSON.stringify({ url: 'http://here' })); setInterval(() => {}, 1000)`
    expect((await startWritten('good.mjs', source)).url).toBe('http://here')
  })

  it('that ends without having told it is an error at once, with what it said', async () => {
    await expect(startWritten('bad.mjs', `console.error('JWT_SECRET is missing'); process.exitCode = 3`)).rejects.toThrow(
      /bad\.mjs ended with 3 before it told its address:\nJWT_SECRET is missing/,
    )
  })
})
