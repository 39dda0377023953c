import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { secret, tokenOf } from '../../testing/app/app-tokens.js'
import { useProject } from '../../testing/project/use-project.js'
import { until } from '../../time/until.js'
import type { ProjectStatus } from '../operations/status.js'

/** Each over a socket of its own, ten in a room. */
const users = process.env['TIDEMARK_TEST_LONG'] === undefined ? 40 : 1_000
const perRoom = 10

const userId = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`
const roomOf = (user: number): number => Math.floor(user / perRoom)

const project = useProject()
let url: string
let anonKey: string
let migrator: pg.Client

beforeAll(async () => {
  url = await project.serve(['start'], { SUPABASE_JWT_SECRET: secret })
  const status = await project.run<ProjectStatus>('status')
  anonKey = status.keys.anon
  migrator = new pg.Client({ connectionString: status.database.url })
  await migrator.connect()
  await migrator.query(`
    create table notes (id integer primary key, owner uuid not null, body text not null);
    create table members (room integer, member uuid, primary key (room, member));
    create table posts (id integer primary key, room integer not null, body text not null);
    alter table notes enable row level security;
    alter table notes replica identity full;
    alter table members enable row level security;
    alter table posts enable row level security;
    alter table posts replica identity full;
    create policy own on notes for select to authenticated using (owner = auth.uid());
    create policy own on members for select to authenticated using (member = auth.uid());
    create policy room on posts for select to authenticated
      using (exists (select from members m where m.room = posts.room and m.member = auth.uid()));
    grant select on notes, members, posts to anon, authenticated;
    alter publication supabase_realtime add table notes, posts`)
  await migrator.query(
    `insert into members select n / ${perRoom}, ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid from generate_series(0, $1::int - 1) n`,
    [users],
  )
})
afterAll(async () => {
  await migrator?.end()
})

interface Ear {
  /** What was told of tables: event, table, key. */
  readonly heard: string[]
  /** All that came after the answer to the join, as it came. */
  readonly frames: string[]
  isSubscribed: boolean
  close(): void
}

const listen = (token: string | undefined): Ear => {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/realtime/v1/websocket?vsn=2.0.0&apikey=${anonKey}`)
  const ear: Ear = { heard: [], frames: [], isSubscribed: false, close: () => socket.terminate() }
  const tables = ['notes', 'posts'].map((table) => ({ event: '*', schema: 'public', table }))
  socket.on('open', () => {
    const payload = { config: { postgres_changes: tables, presence: { enabled: false } }, access_token: token }
    socket.send(JSON.stringify(['1', '1', 'realtime:mine', 'phx_join', payload]))
  })
  socket.on('message', (data) => {
    const frame = String(data)
    const [, , , event, payload] = JSON.parse(frame)
    if (event === 'system' && payload.extension === 'postgres_changes') ear.isSubscribed = payload.status === 'ok'
    if (event === 'phx_reply' || event === 'system') return
    ear.frames.push(frame)
    const { type, table, record, old_record } = payload.data
    ear.heard.push(`${type} ${table} ${(type === 'DELETE' ? old_record : record).id}`)
  })
  return ear
}

test(`RT-1: each of ${users} users over a socket of its own is told of what it may see, and whoever may see nothing not even a key`, {
  timeout: 300_000,
}, async () => {
  const ears = Array.from({ length: users }, (_, n) => listen(tokenOf(userId(n))))
  const outsiders = [listen(tokenOf(userId(users))), listen(undefined)]
  await until(() => [...ears, ...outsiders].every(({ isSubscribed }) => isSubscribed), { timeoutMs: 60_000 })
  const owners = `select n, ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'written' from generate_series(0, ${users - 1}) n`
  const rooms = roomOf(users - 1) + 1
  await migrator.query(`insert into notes ${owners}`)
  await migrator.query(`insert into posts select n, n, 'written' from generate_series(0, ${rooms - 1}) n`)
  // Each note passes on to the next user, for whom it is new; for the one before it is gone.
  await migrator.query(
    `update notes set owner = ('00000000-0000-4000-8000-' || lpad(to_hex((id + 1) % ${users}), 12, '0'))::uuid`,
  )
  await migrator.query(`delete from posts where id % 2 = 0`)
  await migrator.query(`delete from notes`)
  const expected = (n: number): readonly string[] => {
    const given = (n + users - 1) % users
    const [room, isNew, gone] = [roomOf(n), `INSERT notes ${given}`, `DELETE notes ${n}`]
    return [
      `INSERT notes ${n}`,
      `INSERT posts ${room}`,
      ...(n === 0 ? [gone, isNew] : [isNew, gone]),
      ...(room % 2 === 0 ? [`DELETE posts ${room}`] : []),
      `DELETE notes ${given}`,
    ]
  }
  await until(() => ears.every(({ heard }, n) => heard.length >= expected(n).length), { timeoutMs: 60_000 })
  // Whatever else were under way would have come with what a last change brings.
  await migrator.query(`insert into notes ${owners}`)
  const all = (n: number) => [...expected(n), `INSERT notes ${n}`]
  await until(() => ears.every(({ heard }, n) => heard.length >= all(n).length), { timeoutMs: 60_000 })
  expect(ears.map(({ heard }) => heard)).toEqual(ears.map((_ear, n) => all(n)))
  expect(outsiders.map(({ frames }) => frames)).toEqual([[], []])
  for (const { close } of [...ears, ...outsiders]) close()
})
