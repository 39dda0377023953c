import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { resolveConfig } from '../../config/config.js'
import { openState, type State } from '../../state/state.js'
import { rolePasswords } from '../database/role-passwords.js'
import { hideSecrets, type ProjectStatus } from '../operations/status.js'
import { adminTokensOf, createTokenCheck } from './admin-token.js'
import { announce, findServer, withdraw } from './presence.js'

let dir: string
let state: State
const configOf = (env: Record<string, string> = {}) => resolveConfig({ env, cwd: dir })

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tidemark-state-'))
  state = await openState(join(dir, '.tidemark'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

describe('keys', () => {
  test("a configured admin token is shown, and the project's own goes on to count", async () => {
    const [own] = await adminTokensOf(configOf(), state)
    expect(await adminTokensOf(configOf({ TIDEMARK_ADMIN_TOKEN: 'configured-token-1234' }), state)).toEqual([
      'configured-token-1234',
      own,
    ])
  })

  test('R76: the token of before goes on to open, so that it can be replaced while servers and their users go on', async () => {
    const [before, after] = ['the-token-of-before', 'the-token-from-now-on']
    const env = { TIDEMARK_ADMIN_TOKEN: after, TIDEMARK_SERVER_PREVIOUS_ADMIN_TOKENS: before }
    const opens = createTokenCheck(await adminTokensOf(configOf(env), state))
    expect([before, after, 'the-token-of-nobody'].map((token) => opens(`Bearer ${token}`))).toEqual([true, true, false])
    const later = createTokenCheck(await adminTokensOf(configOf({ TIDEMARK_ADMIN_TOKEN: after }), state))
    expect(later(`Bearer ${before}`)).toBe(false)
  })
})

describe('passwords of the roles', () => {
  test('follow from the password of the connection string, so that all nodes come to the same', async () => {
    const other = await openState(join(dir, 'other'))
    const passwords = await rolePasswords('of-the-url', state)
    expect(await rolePasswords('of-the-url', other)).toEqual(passwords)
    expect(new Set(Object.values(passwords)).size).toBe(5)
    expect(await rolePasswords('changed', state)).not.toEqual(passwords)
    for (const password of Object.values(passwords)) expect(password).toMatch(/^[\w-]{43}$/)
  })

  test('are kept in the state folder where the connection string has none', async () => {
    const other = await openState(join(dir, 'other'))
    expect(await rolePasswords(undefined, state)).toEqual(await rolePasswords('', state))
    expect(await rolePasswords(undefined, other)).not.toEqual(await rolePasswords(undefined, state))
  })
})

describe('the word that a server leaves', () => {
  test('is found while it runs, and taken back when it ends', async () => {
    expect(await findServer(state)).toBeUndefined()
    await announce(state, 'http://127.0.0.1:8080', 5)
    expect(await findServer(state)).toEqual({ url: 'http://127.0.0.1:8080', pid: process.pid, startedAtMs: 5 })
    await withdraw(state)
    expect(await findServer(state)).toBeUndefined()
  })

  test('of a process that was killed does not count, and of a later server is left alone', async () => {
    await state.child('server').write({ pid: 1, start: 'never', port: 1, startedAtMs: 1, details: { url: 'http://127.0.0.1:1' } })
    expect(await findServer(state)).toBeUndefined()
    await withdraw(state)
    expect(await state.child('server').read()).toBeDefined()
  })
})

test('SEC-2: a status without its secrets keeps the anon key and loses the rest', () => {
  const status: ProjectStatus = {
    url: 'http://127.0.0.1:8080',
    version: '1',
    server: null,
    database: { state: 'connected', embedded: true, version: '18', url: 'postgres://me:hunter2@127.0.0.1/db' },
    redis: { state: 'up', driver: 'tcp', embedded: true, target: 'redis://127.0.0.1' },
    caches: [],
    keys: { anon: 'anon-key', service: 'service-key' },
    pusher: { appId: '1', key: 'pusher-key', secret: 'pusher-secret' },
    admin: { url: 'http://127.0.0.1:8080/admin/v1', token: 'admin-token' },
  }
  const text = JSON.stringify(hideSecrets(status))
  for (const secret of ['hunter2', 'service-key', 'pusher-secret', 'admin-token']) expect(text).not.toContain(secret)
  expect(text).toContain('anon-key')
  expect(text).toContain('pusher-key')
})
