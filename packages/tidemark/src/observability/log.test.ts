import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../errors.js'
import { createLogger, type LogOptions } from './log.js'
import { silentLogger } from './observability.js'

const capture = (options: LogOptions = {}) => {
  const lines: string[] = []
  const log = createLogger({ level: 'debug', destination: { write: (line) => lines.push(line) }, ...options })
  return { log, lines, text: () => lines.join(''), json: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

const dsn = 'postgres://app:hunter2@db.example/app'
const token = `eyJ${'a'.repeat(20)}.${'b'.repeat(20)}.${'c'.repeat(20)}`

describe('the log', () => {
  it('writes one JSON object a line, with the level by name, the component and the fields', () => {
    const { log, json } = capture()
    log
      .child('redis', { node: 1 })
      .child('embedded')
      .info('started', { port: 6379, big: 2n ** 60n, at: new Date(0) })
    expect(json()).toEqual([
      {
        level: 'info',
        time: expect.any(Number),
        component: 'redis.embedded',
        node: 1,
        port: 6379,
        big: String(2n ** 60n),
        at: '1970-01-01T00:00:00.000Z',
        msg: 'started',
      },
    ])
  })

  it('SEC-2: masks secrets in messages, fields, errors, stacks, causes, nested parameters and bound fields', () => {
    const { log, text } = capture()
    const cause = Object.assign(new Error(`cannot reach ${dsn}`), { detail: { url: dsn, list: [token] } })
    const error = new TidemarkError('TM_POSTGRES_UNREACHABLE', { target: dsn, reason: `token=${token}` }, { cause })
    error.stack = `Error: ${dsn}\n    at x`
    log.child('db', { dsn: 'hunter2', url: dsn }).error(`lost ${dsn}`, {
      err: error,
      nested: { deep: [{ url: new URL(dsn) }, new Map([['url', dsn]]), new Set([dsn])] },
      headers: { authorization: 'Bearer hunter2', 'x-api-key': 'hunter2', cookie: 'hunter2' },
      password: 'hunter2',
      SUPABASE_SERVICE_ROLE_KEY_TOKEN: 'hunter2',
      serviceKey: 'hunter2',
    })
    expect(text()).not.toContain('hunter2')
    expect(text()).not.toContain(token)
    expect(text()).toContain('TM_POSTGRES_UNREACHABLE')
    expect(text()).toContain('postgres://app:***@db.example/app')
  })

  it('SEC-2: lets no password of a connection string through, wherever in the fields it stands', () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9!$%^*()_+~]{12,24}$/)
    const place = fc.letrec((tie) => ({
      node: fc.oneof(
        { depthSize: 'small' },
        fc.constant('HERE'),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.string(), tie('node'), { maxKeys: 3 }),
      ),
    })).node
    const property = fc.property(secret, place, (password, shape) => {
      const { log, text } = capture()
      const put = (node: unknown): unknown => {
        if (node === 'HERE') return `redis://default:${password}@cache:6379`
        if (Array.isArray(node)) return node.map(put)
        return Object.fromEntries(Object.entries(node as object).map(([key, value]) => [key, put(value)]))
      }
      log.info(`redis://default:${password}@cache:6379`, { shape: put(shape), err: new Error(`x redis://u:${password}@h`) })
      expect(text()).not.toContain(password)
    })
    fc.assert(property, { numRuns: 200 })
  })

  it('survives cycles, depth, bytes, long text and getters of odd objects', () => {
    const { log, json } = capture()
    const loop: Record<string, unknown> = { name: 'loop' }
    loop.self = loop
    let deep: unknown = 'end'
    for (let i = 0; i < 50; i++) deep = { deep }
    const odd = {
      loop,
      deep,
      bytes: Buffer.alloc(9),
      text: 'x'.repeat(100_000),
      fn: () => 1,
      nothing: null,
      bad: new Date(Number.NaN),
    }
    log.warn('odd', odd)
    const [line] = json()
    expect(line).toMatchObject({ loop: { name: 'loop', self: '[circular]' }, bytes: '[9 bytes]', nothing: null, bad: null })
    expect(String(line?.text)).toContain('(100000 characters)')
    expect(JSON.stringify(line).length).toBeLessThan(20_000)
  })

  it('keeps fields whose names only look like secrets, and numbers under them', () => {
    const { log, json } = capture()
    log.info('x', { maxTokens: 5, monkey: 'm', key: 'chat:1' })
    expect(json()[0]).toMatchObject({ maxTokens: 5, monkey: 'm', key: 'chat:1' })
  })

  it('writes nothing below its level, and a percent sign as it is', () => {
    const { log, lines, json } = capture({ level: 'warn' })
    log.info('quiet')
    log.warn('100 %s done')
    expect(lines).toHaveLength(1)
    expect(json()[0]?.msg).toBe('100 %s done')
    silentLogger.child('x').error('nothing')
    silentLogger.warn('nothing')
    silentLogger.info('nothing')
    silentLogger.debug('nothing')
  })

  it('has a short form for people, without colours where none are wanted', () => {
    const { log, text } = capture({ pretty: true, colours: false })
    const error = new Error('refused')
    error.stack = 'Error: refused\n    at connect (net.js:1)'
    log.child('redis').warn('connection lost', { target: 'redis://h:6379', words: 'two words', n: 3 })
    log.error('failed', { err: Object.assign(error, { code: 'ECONNREFUSED' }) })
    log.debug('plain', { err: 'text' })
    const time = '\\d\\d:\\d\\d:\\d\\d\\.\\d{3}'
    const lines = text().trimEnd().split('\n')
    expect(lines[0]).toMatch(new RegExp(`^${time} warn  redis connection lost target=redis://h:6379 words="two words" n=3$`))
    expect(lines[1]).toMatch(new RegExp(`^${time} error failed ECONNREFUSED refused$`))
    expect(lines[2]).toBe('    at connect (net.js:1)')
    expect(lines[3]).toMatch(new RegExp(`^${time} debug plain err=text$`))
  })

  it('colours the short form where asked', () => {
    const { log, text } = capture({ pretty: true, colours: true })
    log.info('x')
    log.debug('y')
    expect(text()).toContain('\u001b[32minfo')
  })

  it('writes to standard error, so that standard output holds data alone', () => {
    const code = `
      import { createJiti } from 'jiti'
      const { createLogger } = await createJiti(${JSON.stringify(import.meta.url)}).import('./log.ts')
      createLogger().info('hello')
      process.exit(0)`
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })
    expect(child.stdout).toBe('')
    expect(child.stderr).toContain('"msg":"hello"')
  })
})
