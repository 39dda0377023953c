import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { from as copyFrom } from 'pg-copy-streams'
import { describe, expect, it } from 'vitest'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { connectPostgres } from './connect.js'
import { checkVersion } from './version.js'

const database = useDatabase()

const change = (edit: (url: URL) => void): string => {
  const url = new URL(database.url)
  edit(url)
  return url.href
}

describe('a connected client', () => {
  it('is a session under its name, with its limit, of a supported server', async () => {
    const client = await connectPostgres({ url: database.url, name: 'copy', statementTimeoutMs: 4321 })
    const { rows } = await client.query(
      `select current_setting('application_name') as name, current_setting('statement_timeout') as limit`,
    )
    expect(rows).toEqual([{ name: 'tidemark/copy', limit: '4321ms' }])
    expect(await checkVersion(client, 'db')).toBeGreaterThanOrEqual(15)
    await client.end()
  })

  it('carries COPY streams', async () => {
    const client = await connectPostgres({ url: database.url })
    await client.query('create table copied (id int, text text)')
    await pipeline(Readable.from(['1\tone\n2\ttwo\n']), client.query(copyFrom('copy copied from stdin')))
    expect((await client.query('select * from copied order by id')).rows).toEqual([
      { id: 1, text: 'one' },
      { id: 2, text: 'two' },
    ])
    await client.end()
  })

  it('C33: goes past a transaction pooler, and asks for the way where it does not know it', async () => {
    const pooled = 'postgres://a:b@pooler.example.com:6543/x'
    const client = await connectPostgres({ url: pooled, directUrl: database.url })
    await client.end()
    await expect(connectPostgres({ url: pooled })).rejects.toMatchObject({
      code: 'TM_CONFIG_MISSING',
      parameters: { option: 'DIRECT_URL' },
    })
  })

  it('does not end the process when it breaks while nobody uses it', async () => {
    const [client, other] = [await connectPostgres({ url: database.url }), await connectPostgres({ url: database.url })]
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    const ended = new Promise((resolve) => client.once('end', resolve))
    await other.query('select pg_terminate_backend($1)', [rows[0]!.pid])
    await ended
    await expect(client.query('select 1')).rejects.toThrow(/not queryable/)
    await other.end()
  })
})

describe('a connection that is refused', () => {
  it.each([
    ['TM_POSTGRES_AUTHENTICATION', (url: URL) => Object.assign(url, { password: 'topsecret' })],
    ['TM_POSTGRES_AUTHENTICATION', (url: URL) => Object.assign(url, { username: 'nobody_of_this_name' })],
    ['TM_POSTGRES_NO_DATABASE', (url: URL) => Object.assign(url, { pathname: '/missing' })],
    ['TM_POSTGRES_UNREACHABLE', (url: URL) => Object.assign(url, { port: '1' })],
    ['TM_POSTGRES_UNREACHABLE', (url: URL) => Object.assign(url, { hostname: 'no-such-host.invalid' })],
    ['TM_POSTGRES_TLS', (url: URL) => url.searchParams.set('sslmode', 'require')],
  ])('is %s, and its text holds no password', async (code, edit) => {
    const error = await connectPostgres({ url: change(edit), connectTimeoutMs: 5_000 }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code })
    const { password } = new URL(database.url)
    expect(`${error}${JSON.stringify(error)}`).not.toMatch(new RegExp(`topsecret|${password || 'topsecret'}`))
  })

  it('is not waited for longer than asked', async () => {
    const { createServer } = await import('node:net')
    const silent = createServer(() => undefined)
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as { port: number }
    for (const mode of ['disable', 'prefer', 'require']) {
      const url = `postgres://a:b@127.0.0.1:${port}/x?sslmode=${mode}`
      await expect(connectPostgres({ url, connectTimeoutMs: 50 })).rejects.toMatchObject({ code: 'TM_POSTGRES_UNREACHABLE' })
    }
    silent.close()
  })
})
