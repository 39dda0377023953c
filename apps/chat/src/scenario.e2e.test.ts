import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SignJWT } from 'jose'
import pg from 'pg'
import { createRedis, type Redis } from 'tidemark'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type TestApp, useApps } from '../../../packages/tidemark/src/testing/app/use-apps.js'
import { type EventStream, openEventStream } from '../../../packages/tidemark/src/testing/event-stream.js'
import { useProject } from '../../../packages/tidemark/src/testing/project/use-project.js'
import { useRedis } from '../../../packages/tidemark/src/testing/redis/use-redis.js'
import { until } from '../../../packages/tidemark/src/time/until.js'
import { chat } from './chat.js'
import { userIdOf } from './legacy-ids.js'

const dist = (name: string): string => fileURLToPath(new URL(`../dist/${name}`, import.meta.url))
const secret = 'a secret of the scenario that is long enough'

interface Answer<T> {
  readonly status: number
  readonly cache: string | null
  readonly position: string | null
  readonly body: T
}

interface Message {
  readonly id: string
  readonly seq: number
  readonly content: string
}

describe('S4: chats come out of Redis, are answered from caches, and are never old', () => {
  const redis = useRedis()
  const project = useProject()
  let keys: Redis
  let owner: pg.Client
  /** Where changes are told live. */
  let live: string
  let urls: Readonly<Record<'app' | 'migrator' | 'feed', string>>
  const nodes: TestApp[] = []

  const run = async (
    script: string,
    ...args: string[]
  ): Promise<{ readonly exitCode: number; readonly report: Record<string, unknown> }> => {
    const child = spawn(process.execPath, [dist(script), ...args], { cwd: project.dir, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    const [exitCode] = (await once(child, 'close')) as [number]
    return { exitCode, report: stdout.startsWith('{') ? (JSON.parse(stdout) as Record<string, unknown>) : {} }
  }

  const importChats = (...args: string[]) =>
    run('import/main.js', '--redis', redis.url, '--database', urls.app, '--json', ...args)

  const tokenOf = (sub: string, role = 'authenticated'): Promise<string> =>
    new SignJWT({ role })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(sub)
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(secret))

  interface Sent {
    readonly user: string
    readonly node?: number
    readonly method?: string
    readonly body?: unknown
    readonly after?: string | null
  }

  const ask = async <T>(path: string, { user, node = 0, method = 'GET', body, after }: Sent): Promise<Answer<T>> => {
    const response = await fetch(`${nodes[node]!.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${await tokenOf(user)}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(after && { 'tidemark-position': after }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    return {
      status: response.status,
      cache: response.headers.get('x-cache'),
      position: response.headers.get('tidemark-position'),
      body: (await response.json()) as T,
    }
  }

  const post = (sessionId: string, body: object, sent: Sent) =>
    ask<Message>(`/chats/${sessionId}/messages`, { ...sent, method: 'POST', body })

  const page = (sessionId: string, sent: Sent) =>
    ask<{ readonly messages: readonly Message[] }>(`/chats/${sessionId}/messages`, sent)

  const newChat = async (user: string): Promise<string> => {
    const { status, body } = await ask<{ id: string }>('/chats', { user, method: 'POST', body: { title: 'A chat' } })
    expect(status).toBe(201)
    return body.id
  }

  beforeAll(async () => {
    keys = await createRedis({ url: redis.url })
    // Both servers take the same tokens.
    await writeFile(join(project.dir, '.env'), `SUPABASE_JWT_SECRET=${secret}\n`)
    live = await project.serve()
    await project.run('schema', 'up', '--migrations', fileURLToPath(chat.migrations))
    const roles = ['app', 'migrator', 'feed'] as const
    const found = await Promise.all(roles.map((role) => project.run<{ url: string }>('db', 'url', '--role', role)))
    urls = Object.fromEntries(roles.map((role, i) => [role, found[i]!.url])) as typeof urls
    owner = new pg.Client({ connectionString: urls.migrator })
    await owner.connect()
  })

  afterAll(async () => {
    await owner?.end()
    await keys?.stop()
  })

  const startApp = useApps()
  const startNode = (): Promise<TestApp> => {
    const env = {
      DATABASE_URL: urls.app,
      OWNER_DATABASE_URL: urls.migrator,
      FEED_DATABASE_URL: urls.feed,
      REDIS_URL: redis.url,
      CACHE_PREFIX: 'test:',
      JWT_SECRET: secret,
    }
    return startApp(dist('main.js'), { cwd: project.dir, env })
  }

  it('step 1 (C57): chats come over from Redis, what is broken is accounted for, and a second run brings nothing', async () => {
    await run('import/seed.js', redis.url)
    const count = async () => Number((await owner.query('select count(*) as n from chat_sessions')).rows[0].n)
    expect((await importChats('--dry-run')).exitCode).toBe(6)
    expect(await count()).toBe(0)
    const first = await importChats()
    expect(first.exitCode).toBe(6)
    const imported = await count()
    expect(imported).toBeGreaterThan(30)
    const rejects = await owner.query('select count(*) as n from chat_import_rejects')
    expect(Number(rejects.rows[0].n)).toBeGreaterThanOrEqual(2)
    expect((await importChats('--accept-rejects')).exitCode).toBe(0)
    expect(await count()).toBe(imported)
    nodes.push(await startNode(), await startNode())
  })

  it('step 2 (R44, R45): the second read spares Postgres, and Redis keeps what it should for as long as documented', async () => {
    const { rows } = await owner.query<{ user_id: string; id: string }>(
      `select user_id, id from chat_sessions where message_count > 0 and status = 'active' limit 1`,
    )
    const { user_id: user, id } = rows[0]!
    const startedAt = performance.now()
    await until(async () => (await ask('/chats', { user })).cache === 'HIT', { what: 'A hit', timeoutMs: 20_000 })
    for (const path of [`/chats/${id}`, `/chats/${id}/messages`])
      await until(async () => (await ask(path, { user })).cache === 'HIT', { timeoutMs: 20_000 })
    for (const [key, seconds] of [
      [`test:chat:recent:${user}`, 300],
      [`test:chat:active:${id}`, 1800],
      [`test:chat:messages:${id}`, 900],
    ] as const) {
      const left = await until(async () => {
        const ttl = await keys.command<number>(['TTL', key])
        return ttl > 0 ? ttl : undefined
      })
      expect(left + (performance.now() - startedAt) / 1_000).toBeGreaterThan(seconds * 0.88)
      expect(left).toBeLessThanOrEqual(seconds)
    }
  })

  it('step 3: a message sent twice is kept once, and many writers leave no gap', async () => {
    const user = userIdOf('step three')
    const id = await newChat(user)
    const body = { content: 'hello', client_message_id: 'm1' }
    const [one, two] = await Promise.all([post(id, body, { user }), post(id, body, { user, node: 1 })])
    expect([one.status, two.status].sort()).toEqual([200, 201])
    expect(one.body.id).toBe(two.body.id)
    const sent = await Promise.all(
      Array.from({ length: 20 }, (_, i) => post(id, { content: `number ${i}` }, { user, node: i % 2 })),
    )
    expect(sent.map(({ body: { seq } }) => seq).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 2))
  })

  it('step 4 (R52): another process shows a message as soon as the post has answered, 100 times of 100', async () => {
    const user = userIdOf('step four')
    const id = await newChat(user)
    for (let round = 0; round < 100; round++) {
      const { position, body } = await post(id, { content: `round ${round}` }, { user, node: round % 2 })
      const seen = await page(id, { user, node: (round + 1) % 2, after: position })
      expect(seen.body.messages.at(-1)).toMatchObject({ id: body.id, content: `round ${round}` })
    }
  })

  it('step 5 (C53): writers whom nobody tells the caches of are heard of, and nothing old stays', async () => {
    const user = userIdOf('step five')
    const id = await newChat(user)
    for (let round = 0; round < 20; round++) {
      const reading = Promise.all([0, 1].map((node) => page(id, { user, node })))
      await owner.query(`insert into chat_messages (session_id, role, content) values ($1, 'user', $2)`, [id, `behind ${round}`])
      await reading
      for (const node of [0, 1])
        await until(async () => (await page(id, { user, node })).body.messages.at(-1)?.content === `behind ${round}`, {
          timeoutMs: 20_000,
        })
    }
  })

  it('step 7: what belongs to another is not there', async () => {
    const [user, stranger] = [userIdOf('step seven'), userIdOf('a stranger')]
    const id = await newChat(user)
    await page(id, { user })
    for (const path of [`/chats/${id}`, `/chats/${id}/messages`])
      for (const node of [0, 1]) expect((await ask(path, { user: stranger, node })).status).toBe(404)
    expect((await post(id, { content: 'x', role: 'assistant' }, { user })).status).toBe(403)
  })

  it('step 8 (R51): a message on one device shows on another; after a dropped link exactly what was missed is told', async () => {
    const user = userIdOf('step eight')
    const id = await newChat(user)
    const listen = async (sub: string, lastEventId?: string): Promise<EventStream> => {
      const stream = await openEventStream(
        `${live}/realtime/v1/changes?table=chat_messages&event=INSERT&filter=session_id=eq.${id}`,
        {
          authorization: `Bearer ${await tokenOf(sub)}`,
          ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
        },
      )
      await until(() => stream.events.length > 0)
      return stream
    }
    const contents = ({ events }: EventStream): readonly unknown[] =>
      events.flatMap(({ event, data }) => (event === 'change' ? [(data['record'] as { content: unknown }).content] : [event]))
    const [device, stranger] = [await listen(user), await listen(userIdOf('a stranger'))]
    await post(id, { content: 'hello' }, { user })
    await until(() => contents(device).includes('hello'), { timeoutMs: 20_000 })
    expect(contents(device)).toEqual(['ready', 'hello'])
    device.drop()
    for (const content of ['one', 'two', 'three']) await post(id, { content }, { user, node: 1 })
    const again = await listen(user, device.lastEventId)
    await until(() => contents(again).includes('three'), { timeoutMs: 20_000 })
    await post(id, { content: 'and on' }, { user })
    await until(() => contents(again).includes('and on'), { timeoutMs: 20_000 })
    expect(contents(again)).toEqual(['ready', 'one', 'two', 'three', 'and on'])
    expect(contents(stranger)).toEqual(['ready'])
    for (const stream of [again, stranger]) stream.drop()
  })

  it('step 9 (R50, C54, C56): a deleted chat is gone from every cache and list, and leaves a line', async () => {
    const user = userIdOf('step nine')
    const id = await newChat(user)
    await post(id, { content: 'words' }, { user })
    await until(async () => (await page(id, { user, node: 1 })).cache === 'HIT', { timeoutMs: 10_000 })
    const { position } = await ask(`/chats/${id}`, { user, method: 'DELETE' })
    for (const node of [0, 1]) {
      expect((await ask(`/chats/${id}`, { user, node, after: position })).status).toBe(404)
      const list = await ask<{ chats: readonly { id: string }[] }>('/chats', { user, node, after: position })
      expect(list.body.chats).toEqual([])
    }
    expect(await keys.command(['EXISTS', `test:chat:messages:${id}`])).toBe(0)
    const { rows } = await owner.query('select count(*) as n from chat_audit where record_id = $1', [id])
    expect(Number(rows[0].n)).toBeGreaterThan(0)
  })

  it('step 6 (R47, R49): without Redis everything goes on, and with it again nothing from before comes back', async () => {
    const user = userIdOf('step six')
    const id = await newChat(user)
    await post(id, { content: 'before' }, { user })
    await until(async () => (await page(id, { user, node: 1 })).cache === 'HIT', { timeoutMs: 10_000 })
    redis.signal('SIGSTOP')
    for (let round = 0; round < 10; round++) {
      const { status, position } = await post(id, { content: `without ${round}` }, { user, node: round % 2 })
      expect(status).toBe(201)
      const seen = await page(id, { user, node: (round + 1) % 2, after: position })
      expect([seen.status, seen.body.messages.at(-1)?.content]).toEqual([200, `without ${round}`])
    }
    redis.signal('SIGCONT')
    await until(async () => (await page(id, { user, node: 1 })).cache === 'HIT', { timeoutMs: 20_000 })
    for (const node of [0, 1]) expect((await page(id, { user, node })).body.messages.at(-1)?.content).toBe('without 9')
  })
})
