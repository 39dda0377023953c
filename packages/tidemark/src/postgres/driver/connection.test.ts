import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseConnection } from './connection.js'
import { directUrl, isTransactionPooler } from './pooler.js'

describe('a connection string', () => {
  it('is taken apart once', () => {
    expect(
      parseConnection('postgres://ann:p%40ss@db.example.com:6000/app?application_name=x&options=-c%20search_path%3Da'),
    ).toMatchObject({
      host: 'db.example.com',
      port: 6000,
      user: 'ann',
      password: 'p@ss',
      database: 'app',
      options: '-c search_path=a',
      name: 'db.example.com:6000/app',
    })
  })

  it('has the defaults of libpq, except that a server elsewhere is reached under TLS only', () => {
    const usual = { port: 5432, database: 'ann', channelBinding: 'prefer' }
    expect(parseConnection('postgresql://ann@db')).toMatchObject({ ...usual, sslMode: 'require' })
    for (const host of ['localhost', '127.0.0.1', '[::1]']) {
      expect(parseConnection(`postgresql://ann@${host}`)).toMatchObject({ ...usual, sslMode: 'prefer' })
    }
  })

  it('may name a Unix socket, an IPv6 address, or leave the host out', () => {
    expect(parseConnection('postgres://ann@/app?host=/run/postgresql')).toMatchObject({
      host: '/run/postgresql',
      sslMode: 'disable',
    })
    expect(parseConnection('postgres:///app?host=/run/postgresql&user=ann').user).toBe('ann')
    expect(parseConnection('postgres://ann@[::1]:5433/app')).toMatchObject({ host: '::1', name: '[::1]:5433/app' })
    expect(parseConnection('postgres:///app')).toMatchObject({ host: 'localhost', database: 'app' })
  })

  it('brings any password through, and shows it to nobody', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (password) => {
        const target = parseConnection(`postgres://ann:${encodeURIComponent(password)}@db/app`)
        expect(target.password).toBe(password)
        expect(Object.keys(target)).not.toContain('password')
      }),
    )
    const target = parseConnection('postgres://ann:topsecret@db/app')
    expect(`${inspect(target)}${JSON.stringify({ ...target })}`).not.toContain('topsecret')
  })

  it('C34: has the sslmode of libpq, from the URL or else from the options', () => {
    const modeOf = (parameters: string) => parseConnection(`postgres://a@db/x?${parameters}`, { sslMode: 'require' }).sslMode
    expect(['disable', 'prefer', 'require', 'verify-full'].map((mode) => modeOf(`sslmode=${mode}`))).toEqual([
      'disable',
      'prefer',
      'require',
      'verify-full',
    ])
    expect(modeOf('')).toBe('require')
    expect(modeOf('sslmode=allow')).toBe('prefer')
    expect(modeOf('sslmode=no-verify')).toBe('require')
    expect(modeOf('ssl=true')).toBe('require')
    expect(modeOf('ssl=0')).toBe('disable')
    expect(modeOf('sslmode=require&sslrootcert=/ca.pem')).toBe('verify-ca')
    expect(modeOf('sslmode=verify-ca&sslrootcert=/ca.pem')).toBe('verify-ca')
    expect(modeOf('sslmode=verify-full&sslrootcert=system')).toBe('verify-full')
  })

  it.each([
    ['', 'not a URL'],
    ['localhost:5432', 'scheme'],
    ['mysql://a@b/c', 'scheme'],
    ['postgres://a:b%zz@c/d', '%25'],
    ['postgres://a:topsecret@one,two/c', 'several hosts'],
    ['postgres://a:topsecret@db:99999/c', 'not a URL'],
    ['postgres://a@/c?port=0', 'port'],
    ['postgres://a@db/c?sslmode=maybe', 'sslmode is "maybe"'],
    ['postgres://a@db/c?channel_binding=maybe', 'channel_binding is "maybe"'],
    ['postgres://a@db/c?sslmode=verify-ca', 'sslrootcert'],
    ['postgres://a@db/c?sslmode=disable&channel_binding=require', 'channel_binding=require needs TLS'],
    ['postgres://a@db/c?connect_timeout=soon', 'connect_timeout'],
  ])('that reads %j is refused without being quoted', (url, reason) => {
    expect(() => parseConnection(url)).toThrow(
      expect.objectContaining({ code: 'TM_POSTGRES_URL', message: expect.stringContaining(reason) }),
    )
    expect(() => parseConnection(url)).not.toThrow(/topsecret/)
  })

  it('carries its own connect_timeout, in seconds', () => {
    expect(parseConnection('postgres://a@db/c?connect_timeout=3').connectTimeoutMs).toBe(3000)
    expect(parseConnection('postgres://a@db/c?connect_timeout=0').connectTimeoutMs).toBeUndefined()
  })
})

describe('C33: a transaction pooler', () => {
  it.each([
    ['postgres://a@db.example.com:6543/x', undefined],
    ['postgres://a@/x?host=db.example.com&port=6543', undefined],
    ['postgres://a@bouncer:5432/x?pgbouncer=true', undefined],
    ['postgres://a:b@aws-0-eu.pooler.supabase.com:6543/postgres', 'postgres://a:b@aws-0-eu.pooler.supabase.com:5432/postgres'],
    ['postgres://a:b@db.abc.supabase.co:6543/postgres?pgbouncer=true', 'postgres://a:b@db.abc.supabase.co:5432/postgres'],
    [
      'postgres://a:b@ep-cool-1-pooler.eu.aws.neon.tech/x?sslmode=require',
      'postgres://a:b@ep-cool-1.eu.aws.neon.tech/x?sslmode=require',
    ],
  ])('is seen in %s', (url, direct) => {
    expect(isTransactionPooler(url)).toBe(true)
    expect(directUrl(url)).toBe(direct)
  })

  it.each(['postgres://a@localhost/x', 'postgres://a@my-pooler-host:5432/x', 'postgres://a@aws-0-eu.pooler.supabase.com:5432/x'])(
    'is not seen in %s',
    (url) => {
      expect(isTransactionPooler(url)).toBe(false)
      expect(directUrl(url)).toBe(url)
    },
  )

  it('is not seen in what is no URL', () => {
    expect(isTransactionPooler('what?')).toBe(false)
  })
})
