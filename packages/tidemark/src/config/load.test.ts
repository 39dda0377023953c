import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { defineConfig, loadConfig, loadConfigFile } from './config.js'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-config-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const write = async (name: string, content: string): Promise<void> => {
  await mkdir(dirname(join(folder, name)), { recursive: true })
  await writeFile(join(folder, name), content)
}

describe('loadConfigFile', () => {
  it('finds nothing in a folder without one', async () => {
    expect(await loadConfigFile(folder)).toBeUndefined()
    expect((await loadConfig({ cwd: folder, env: {} })).server.port).toBe(8080)
  })

  it.each([
    ['tidemark.config.json', '{"server": {"port": 9001}}'],
    ['tidemark.config.mjs', 'export default { server: { port: 9001 } }'],
    ['tidemark.config.ts', 'interface A { n: number }\nconst a: A = { n: 9001 }\nexport default { server: { port: a.n } }'],
    ['tidemark.config.mts', 'export default { server: { port: 9001 as number } }'],
  ])('reads %s', async (name, content) => {
    await write(name, content)
    expect(await loadConfigFile(folder)).toEqual({ name, content: { server: { port: 9001 } } })
    expect((await loadConfig({ cwd: folder, env: {} })).server.port).toBe(9001)
  })

  it('reads a TypeScript file that imports defineConfig where the package is not installed beside it', async () => {
    await write(
      'tidemark.config.ts',
      "import { defineConfig } from 'tidemark'\nexport default defineConfig({ log: { pretty: true } })",
    )
    expect((await loadConfig({ cwd: folder, env: {} })).log.pretty).toBe(true)
  })

  it('reads the file that is named, relative to the folder', async () => {
    await write('settings/prod.json', '{"log": {"level": "warn"}}')
    expect((await loadConfig({ cwd: folder, env: {}, path: 'settings/prod.json' })).log.level).toBe('warn')
    await expect(loadConfigFile(folder, 'absent.json')).rejects.toMatchObject({ code: 'TM_CONFIG_FILE_UNREADABLE' })
  })

  it.each([
    ['tidemark.config.json', '{"server": ', 'JSON'],
    ['tidemark.config.json', '[1]', 'does not hold an object'],
    ['tidemark.config.mjs', 'export const config = {}', 'no default export'],
    ['tidemark.config.mjs', "throw new Error('from inside')", 'from inside'],
    ['tidemark.config.ts', 'export default 5', 'does not hold an object'],
  ])('refuses %s with %s', async (name, content, reason) => {
    await write(name, content)
    await expect(loadConfigFile(folder)).rejects.toMatchObject({
      code: 'TM_CONFIG_FILE_UNREADABLE',
      message: expect.stringMatching(new RegExp(`${name}.*${reason}`)),
    })
  })

  it('refuses two files, of which one would be ignored silently', async () => {
    await write('tidemark.config.json', '{}')
    await write('tidemark.config.mjs', 'export default {}')
    await expect(loadConfigFile(folder)).rejects.toThrow('tidemark.config.mjs and tidemark.config.json')
  })

  it('names the file in the error of a bad value', async () => {
    await write('tidemark.config.json', '{"server": {"port": "x"}}')
    await expect(loadConfig({ cwd: folder, env: {} })).rejects.toThrow('(from tidemark.config.json)')
  })

  it('types the content of a file', () => {
    const config = defineConfig({ postgres: { primary: { maxConnections: 5, idleTimeoutMs: '30s' } }, log: { level: undefined } })
    expect(config.postgres?.primary?.maxConnections).toBe(5)
    // @ts-expect-error an unknown key does not compile
    defineConfig({ postgres: { primry: {} } })
    // @ts-expect-error a word that is not offered does not compile
    defineConfig({ postgres: { driver: 'mysql' } })
  })
})

describe('.env', () => {
  it('is read, with quotes and comments, under the environment', async () => {
    await write('.env', '# local\nPORT=9002\nexport LOG_LEVEL="DEBUG" # loud\nDATABASE_PROVIDER=\'supabase\'\r\n')
    const config = await loadConfig({ cwd: folder, env: { PORT: '9003' } })
    expect(config.server.port).toBe(9003)
    expect(config.log.level).toBe('debug')
    expect(config.database.provider).toBe('supabase')
  })

  it('wins over the configuration file', async () => {
    await write('.env', 'PORT=9002')
    await write('tidemark.config.json', '{"server": {"port": 9001, "host": "0.0.0.0"}}')
    expect((await loadConfig({ cwd: folder, env: {} })).server).toMatchObject({ port: 9002, host: '0.0.0.0' })
  })

  it('may be a folder, as in Python projects', async () => {
    await write('.env/pyvenv.cfg', 'home = /usr/bin')
    expect((await loadConfig({ cwd: folder, env: {} })).server.port).toBe(8080)
  })

  it('does not change the environment of the process', async () => {
    await write('.env', 'TIDEMARK_TEST_ONLY=1')
    await loadConfig({ cwd: folder, env: {} })
    expect(process.env['TIDEMARK_TEST_ONLY']).toBeUndefined()
  })
})
