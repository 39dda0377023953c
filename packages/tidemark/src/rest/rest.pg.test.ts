import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Caller } from '../auth/caller.js'
import type { LogFields } from '../observability/observability.js'
import { silentLogger } from '../observability/observability.js'
import { createNamedPool, type Pool } from '../postgres/postgres.js'
import { testUrl } from '../schema/testing/bootstrapped-template.js'
import { useClient, useDatabase } from '../testing/postgres/use-database.js'
import { until } from '../time/until.js'
import { type OpenCatalogue, openCatalogue } from './catalogue/open-catalogue.js'
import { createRest, type Rest, type RestSettings } from './rest.js'
import { libraryTemplate, users } from './testing/use-library.js'

const database = useDatabase({ template: libraryTemplate })
const admin = useClient(database)

const settings: RestSettings = {
  schemas: ['api'],
  extraSearchPath: ['public'],
  maxRows: 1000,
  maxBodyBytes: 100_000,
  aggregates: true,
  plans: false,
  transactionOverride: true,
  root: true,
  preRequest: { schema: 'gate', name: 'check' },
  appSettings: new Map([['app.settings.name', 'library']]),
  version: '1.2.3',
}

const errors: (LogFields | undefined)[] = []
const log = { ...silentLogger, error: (_message: string, fields?: LogFields) => void errors.push(fields) }

let pool: Pool
let catalogue: OpenCatalogue
let rest: Rest

beforeAll(async () => {
  await admin.query(`
    create schema gate;
    grant usage on schema gate to anon, authenticated, service_role;
    create function gate.check() returns void language plpgsql as $f$
    begin
      perform set_config('response.headers', json_build_array(json_build_object('X-Gate', current_user || ' ' || current_setting('request.path')))::text, true);
      if current_setting('request.headers')::json ->> 'x-gate' = 'closed' then
        raise sqlstate 'PT423' using message = 'Locked', detail = 'closed today';
      end if;
      if current_setting('request.headers')::json ->> 'x-gate' = 'writes' then
        insert into api.words values (900);
      end if;
    end $f$;
    grant execute on function gate.check() to anon, authenticated, service_role`)
  const url = testUrl(database.url, 'authenticator')
  pool = createNamedPool('rest', {
    url,
    pools: { rest: { minConnections: 0, maxConnections: 2, acquireTimeoutMs: 20_000, connectTimeoutMs: 5_000 } },
    retry: { attempts: 2, baseMs: 1 },
  })
  catalogue = openCatalogue({ pool, schemas: ['api'], pollMs: 60_000 })
  await catalogue.ready()
  rest = createRest({ pool, catalogue, settings, log })
})
afterAll(async () => {
  await catalogue.stop()
  await pool.stop()
})

const handle = (
  line: string,
  options: { readonly as?: Caller; readonly body?: unknown; readonly headers?: Record<string, string> } = {},
) => {
  const [method = 'GET', url = '/'] = line.split(' ')
  const [path = '/', query = ''] = url.split('?')
  const { as: caller = users.service, body, headers = {} } = options
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
  return rest.handle({ method, path, query, headers: { ...type, ...headers }, body: bytes }, { caller })
}
const bodyOf = async (answer: ReturnType<typeof handle>): Promise<unknown> => JSON.parse(String((await answer).body))
const words = async () =>
  (await admin.query<{ id: number }>('select id from api.words where id >= 900 order by id')).rows.map(({ id }) => id)

describe('the function before each request', () => {
  it('runs as the caller, knows the request and may choose headers', async () => {
    expect((await handle('GET /genres?limit=1', { as: users.anon })).headers).toMatchObject({ 'x-gate': 'anon /genres' })
    expect((await handle('POST /rpc/add', { body: { a: 1 } })).headers).toMatchObject({ 'x-gate': 'service_role /rpc/add' })
  })

  it('may refuse it, and nothing happens', async () => {
    const headers = { 'x-gate': 'closed' }
    for (const answer of [handle('GET /genres', { headers }), handle('POST /words', { headers, body: { id: 901 } })]) {
      const { status, statusText, body } = await answer
      expect([status, statusText, JSON.parse(String(body))]).toEqual([
        423,
        'Locked',
        { code: 'PT423', message: 'Locked', details: 'closed today', hint: null },
      ])
    }
    expect(await words()).toEqual([])
  })

  it('shares the transaction: what it writes stays with the request, or goes with it', async () => {
    const headers = { 'x-gate': 'writes' }
    expect((await handle('GET /genres', { headers })).status).toBe(405)
    expect((await handle('POST /words', { headers, body: { id: 'x' } })).status).toBe(400)
    expect((await handle('POST /words', { headers: { ...headers, prefer: 'tx=rollback' }, body: { id: 902 } })).status).toBe(201)
    expect(await words()).toEqual([])
    expect((await handle('POST /words', { headers, body: { id: 902 } })).status).toBe(201)
    expect(await words()).toEqual([900, 902])
    await admin.query('delete from api.words where id >= 900')
  })
})

describe('/rest/v1', () => {
  it('leaves a connection as it was, whoever used it', async () => {
    const outside = () =>
      pool.query(`select current_user::text as name, current_setting('role') as role,
      coalesce(current_setting('request.jwt.claims', true), '') as claims, current_setting('search_path') as path`)
    const before = (await outside()).rows
    await handle('GET /todos', { as: users.ann })
    await handle('GET /nothing', { as: users.ann })
    await handle('POST /todos', { as: users.ann, body: { owner: users.bob.claims.sub, task: 'x' } })
    await handle('POST /rpc/fail', { as: users.ann, body: { code: 'x' } })
    expect((await outside()).rows).toEqual(before)
    expect(before).toEqual([{ name: 'authenticator', role: 'none', claims: '', path: '"$user", public' }])
  })

  it('serves callers side by side on few connections, each as itself', async () => {
    const asked = Array.from({ length: 60 }, async (_, index) => {
      const as = [users.anon, users.ann, users.bob][index % 3]!
      const { role, claims } = (await bodyOf(handle('GET /rpc/whoami', { as }))) as { role: string; claims: object }
      expect([role, claims]).toEqual([as.role, { ...as.claims, role: as.role }])
      const tasks = (await bodyOf(handle('GET /todos?select=task&order=id', { as }))) as { task: string }[]
      return `${index % 3}: ${tasks.map(({ task }) => task).join()}`
    })
    expect([...new Set(await Promise.all(asked))].sort()).toEqual(['0: a two', '1: a one,a two', '2: a two,b one'])
  })

  it('describes what the caller may see, and what may be done', async () => {
    const paths = async (as: Caller) => Object.keys(((await bodyOf(handle('GET /', { as }))) as { paths: object }).paths)
    expect(await paths(users.service)).toContain('/secrets')
    expect(await paths(users.anon)).not.toContain('/secrets')
    expect((await handle('OPTIONS /genres')).headers).toMatchObject({ allow: 'OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE' })
    expect((await handle('OPTIONS /rpc/rename_author')).headers).toMatchObject({ allow: 'OPTIONS,POST' })
    expect((await handle('OPTIONS /rpc/none')).status).toBe(404)
  })

  it('refuses time zones that there are not only where it is taken at its word', async () => {
    const zone = async (prefer: string) => handle('GET /rpc/whoami', { headers: { prefer } })
    expect(await bodyOf(zone('timezone=Asia/Tokyo'))).toMatchObject({ zone: 'Asia/Tokyo', app: 'library' })
    expect((await zone('timezone=Nowhere/Land')).status).toBe(200)
    expect((await zone('timezone=Nowhere/Land, handling=strict')).status).toBe(400)
  })
})

describe('trouble', () => {
  it('is told in the form of PostgREST, and to the log alone in full', async () => {
    errors.length = 0
    const url = testUrl(database.url, 'authenticator')
    const small = createNamedPool('rest', {
      url,
      pools: { rest: { minConnections: 0, maxConnections: 1, acquireTimeoutMs: 50 } },
    })
    const ask = (asked: Rest) =>
      asked.handle({ method: 'GET', path: '/genres', query: '', headers: {}, body: undefined }, { caller: users.anon })
    const busy = small.query('select pg_sleep(1)')
    await until(() => small.stats().inUse === 1)
    const waited = await ask(createRest({ pool: small, catalogue, settings, log }))
    expect([waited.status, JSON.parse(String(waited.body)).code]).toEqual([504, 'PGRST003'])
    await busy
    await small.stop()
    const broken = createRest({
      catalogue,
      settings,
      log,
      pool: createNamedPool('rest', { url: 'postgres://nobody:topsecret@127.0.0.1:1/x', retry: { attempts: 1 } }),
    })
    const away = await broken.handle(
      { method: 'GET', path: '/genres', query: '', headers: {}, body: undefined },
      { caller: users.anon },
    )
    expect([away.status, JSON.parse(String(away.body)).code]).toEqual([503, 'PGRST000'])
    expect(String(away.body)).not.toMatch(/topsecret|127/)
    expect(errors.length).toBe(2)
    expect(inspect(errors, { depth: 9 })).not.toContain('topsecret')
  })

  it('before the schema is known is PGRST002', async () => {
    const unread = openCatalogue({ pool, schemas: ['api'] })
    const early = createRest({ pool, catalogue: unread, settings, log })
    const answer = await early.handle(
      { method: 'GET', path: '/genres', query: '', headers: {}, body: undefined },
      { caller: users.anon },
    )
    expect([answer.status, JSON.parse(String(answer.body)).code]).toEqual([503, 'PGRST002'])
    await unread.stop()
  })

  it('a connection that is cut between requests is none', async () => {
    await handle('GET /genres')
    await admin.query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'authenticator' and datname = current_database()`,
    )
    expect((await handle('GET /genres')).status).toBe(200)
    await admin.query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = 'authenticator' and datname = current_database()`,
    )
    expect((await handle('POST /words', { body: { id: 950 } })).status).toBe(201)
    expect(await words()).toEqual([950])
  })
})
