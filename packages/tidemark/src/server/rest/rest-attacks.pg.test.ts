import { createHmac, generateKeyPairSync } from 'node:crypto'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { useClient } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import { useRestServer } from '../testing/use-rest-server.js'

const mebibyte = 2 ** 20
const server = useRestServer({ settings: { maxBodyBytes: 32 * mebibyte }, acquireTimeoutMs: 2_000 })
const admin = useClient({
  get url() {
    return server.databaseUrl
  },
})

const call = (path: string, init: RequestInit = {}) => fetch(`${server.url}/rest/v1${path}`, init)

interface Refusal {
  readonly code: string
  readonly message: string
}

/** Status and code of a refusal, whose body has PostgREST's form. */
const refusalOf = async (asked: Promise<Response>): Promise<readonly [status: number, code: string]> => {
  const answer = await asked
  const body = (await answer.json()) as Refusal
  expect(Object.keys(body).sort()).toEqual(['code', 'details', 'hint', 'message'])
  return [answer.status, body.code]
}

const asService = (type = 'application/json'): Record<string, string> => ({ apikey: server.keys.service, 'content-type': type })
const post = (path: string, body: string | Uint8Array<ArrayBuffer>, headers = asService()) =>
  call(path, { method: 'POST', body, headers })
const lives = async () => expect((await call('/genres?limit=1')).status).toBe(200)

/** Bytes that no client library would send, and what comes back until the server has nothing more to say. */
const raw = (bytes: Buffer | string, enough: RegExp): Promise<string> =>
  new Promise((resolve, reject) => {
    const { port, hostname } = new URL(server.url)
    const socket = connect(Number(port), hostname, () => socket.write(bytes))
    let told = ''
    socket.on('data', (data) => {
      told += data.toString('latin1')
      if (enough.test(told)) socket.destroy()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(told))
  })

describe('R121 SEC-1: requests that mean no good', () => {
  it('are refused where there is too much of them', async () => {
    const many = Array.from({ length: 2_000 }, (_, n) => `a${n}=eq.1`).join('&')
    expect(await refusalOf(call(`/genres?${many.slice(0, 12_000)}`))).toEqual([400, expect.stringMatching(/^PGRST/)])
    const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`
    expect(await refusalOf(post('/words', deep))).toEqual([400, 'PGRST102'])
    expect(await refusalOf(post('/words', `[{"id":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}]`))).toEqual([400, 'PGRST102'])
    expect(await refusalOf(call(`/genres?select=${'genres('.repeat(1_000)}`))).toEqual([400, 'PGRST100'])
    expect(await refusalOf(call(`/genres?and=${'('.repeat(5_000)}`))).toEqual([400, 'PGRST100'])
    const list = Array.from({ length: 100_000 }, (_, n) => n).join(',')
    expect((await call(`/genres?id=in.(${list})`)).status).toBe(431)
    expect(await (await call(`/genres?select=id&id=in.(${list.slice(0, 12_000)}0)`)).json()).toHaveLength(3)
    await lives()
  })

  it('are refused where their bytes are no text', async () => {
    expect(
      await raw(
        Buffer.from('GET /rest/v1/genres?name=eq.\xff\xfe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n', 'latin1'),
        /\r\n\r\n./,
      ),
    ).toMatch(/^HTTP\/1\.1 (400|200) /)
    for (const query of ['name=eq.%FF%FE', 'name=eq.%00', '%FF=eq.1', 'select=%C3%28', 'order=%FF']) {
      const answer = await call(`/genres?${query}`)
      expect([query, answer.status]).toEqual([query, expect.toSatisfy((status: number) => status === 200 || status === 400)])
    }
    expect(await refusalOf(post('/words', new Uint8Array([0x5b, 0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d, 0x5d])))).toEqual(
      [400, expect.any(String)],
    )
    expect(await refusalOf(post('/words', '[{"id": 1, "word": "\\u0000"}]'))).toEqual([400, '22P05'])
    expect(await refusalOf(call('/genres', { headers: { 'accept-profile': '\xff\xfe' } }))).toEqual([406, 'PGRST106'])
    const odd = await call('/genres?limit=1', { headers: { prefer: 'timezone=\xff', 'x-odd': '\xff\xfe"\\' } })
    expect(odd.status).toBe(200)
    await lives()
  })

  it('are refused where their content is of another kind than they say', async () => {
    for (const type of ['text/html', 'application/xml', 'multipart/form-data; boundary=x'])
      expect([type, ...(await refusalOf(post('/words', '[{"id":1}]', asService(type))))]).toEqual([type, 400, 'PGRST102'])
    expect(await refusalOf(post('/words', '[{"id":1}]', asService('nonsense')))).toEqual([415, 'PGRST102'])
    expect(await refusalOf(post('/words', 'not json'))).toEqual([400, 'PGRST102'])
    expect(await refusalOf(post('/words', '"text"'))).toEqual([400, expect.any(String)])
    await lives()
  })

  it('get twenty megabytes of rows in, in bounded memory', async () => {
    const rows = Array.from({ length: 20_000 }, (_, n) => ({ a: 1_000 + n, b: 'x'.repeat(1_000) }))
    const body = JSON.stringify(rows)
    const before = process.memoryUsage().rss
    const peak = { bytes: before }
    const watch = setInterval(() => {
      peak.bytes = Math.max(peak.bytes, process.memoryUsage().rss)
    }, 20)
    const answer = await post('/keyless', body, { ...asService(), prefer: 'return=minimal, tx=commit' })
    clearInterval(watch)
    expect([answer.status, await answer.text()]).toEqual([201, ''])
    // Its sender is this process as well.
    expect((peak.bytes - before) / body.length).toBeLessThan(30)
    expect((await admin.query('select count(*)::int as n from api.keyless where a >= 1000')).rows).toEqual([{ n: 20_000 }])
    expect(await refusalOf(post('/keyless', 'x'.repeat(33 * mebibyte)))).toEqual([413, 'PGRST102'])
  }, 60_000)

  it('hold up nobody else while their body comes slowly, or not at all', async () => {
    const { port, hostname } = new URL(server.url)
    const slow = Array.from({ length: 50 }, () => {
      const socket = connect(Number(port), hostname)
      socket.on('error', () => undefined)
      socket.write('POST /rest/v1/words HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n[')
      return socket
    })
    await Promise.all(slow.map((socket) => until(() => socket.bytesWritten > 0)))
    await lives()
    expect(server.pool.stats().inUse).toBe(0)
    for (const socket of slow) socket.destroy()
  })
})

describe('what happens to the database under /rest/v1', () => {
  it('tells callers beyond the pool that there is no connection (PGRST003)', async () => {
    await admin.query(`create function api.waits() returns int stable language sql as
      $$ select 1 from (select pg_advisory_xact_lock_shared(30)) s $$; grant execute on function api.waits to service_role`)
    await server.catalogue.reload()
    // Who has a connection keeps it until all others were refused.
    await admin.query('select pg_advisory_lock(30)')
    let ended = 0
    const asked = Array.from({ length: 30 }, () =>
      call('/rpc/waits', { headers: { apikey: server.keys.service } }).finally(() => {
        ended += 1
      }),
    )
    await until(() => ended === 10)
    await admin.query('select pg_advisory_unlock(30)')
    const answers = await Promise.all(asked)
    const statuses = answers.map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(20)
    const refused = answers.filter(({ status }) => status === 504)
    expect(refused).toHaveLength(10)
    expect(await refused[0]!.json()).toMatchObject({ code: 'PGRST003' })
    await lives()
  }, 30_000)

  it('goes on after every session was ended', async () => {
    await lives()
    await admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = 'authenticator' and datname = current_database()`,
    )
    await until(async () => (await call('/genres?limit=1')).status === 200)
    await lives()
  })

  it('shows a column that was just added, and a table', async () => {
    await admin.query(
      `alter table api.genres add column shade text default 'grey'; create table api.brandnew (id int); grant select on api.brandnew to anon`,
    )
    const shades = () => call('/genres?select=shade&id=eq.1')
    await until(async () => (await shades()).status === 200)
    expect(await (await shades()).json()).toEqual([{ shade: 'grey' }])
    await until(async () => (await call('/brandnew')).status === 200)
  })
})

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('R122 SEC-1: tokens that prove nothing', () => {
  const now = Math.floor(Date.now() / 1000)
  const claims = { role: 'service_role', aud: 'authenticated', exp: now + 3600 }
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const signed = (header: object, key: string): string => {
    const text = `${part(header)}.${part(claims)}`
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  }
  const tokens: readonly (readonly [string, () => string | Promise<string>])[] = [
    ['of the algorithm none', () => `${part({ alg: 'none' })}.${part(claims)}.`],
    ['of the algorithm None', () => `${part({ alg: 'None', typ: 'JWT' })}.${part(claims)}.`],
    ['signed with a public key as if it were a secret', () => signed({ alg: 'HS256' }, pem)],
    ['that says RS256 of a secret', () => signed({ alg: 'RS256' }, 'a secret of at least thirty-two characters')],
    ['signed with an empty secret', () => signed({ alg: 'HS256' }, '')],
    ['with a key id that nobody knows', () => signed({ alg: 'RS256', kid: '../../etc/passwd' }, 'x')],
    ['that brings its own key', () => signed({ alg: 'RS256', jwk: publicKey.export({ format: 'jwk' }) }, 'x')],
    ['that has expired', () => expired()],
    ['that holds only later', () => server.token({ role: 'service_role', nbf: now + 7200 })],
    ['that is no token', () => 'a.b.c'],
    ['of two parts', () => `${part({ alg: 'HS256' })}.${part(claims)}`],
    ['that is as large as a header can be', () => `${part({ alg: 'HS256' })}.${'A'.repeat(14_000)}.x`],
  ]
  const expired = (): string => {
    const text = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ ...claims, exp: now - 3600 })}`
    return `${text}.${createHmac('sha256', 'a secret of at least thirty-two characters').update(text).digest('base64url')}`
  }

  it.each(tokens)('a token %s is refused', async (_what, make) => {
    const [status, code] = await refusalOf(call('/genres', { headers: { authorization: `Bearer ${await make()}` } }))
    expect([status, code]).toEqual([401, expect.stringMatching(/^PGRST30[1-3]$/)])
  })
})
