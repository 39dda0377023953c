/** A vitest suite of an app's access matrix over the API: what SQL refuses, REST refuses, and nobody is told live of what he may not read. */
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { comparePositions, type Position } from '../../feed/position.js'
import { createTold, type OpenTold, openTold, type Told } from '../../realtime/changes/testing/open-told.js'
import { appSource, platformSource } from '../../schema/migration-files.js'
import { createMigrator } from '../../schema/migrator.js'
import { bootstrappedTemplate, connectTo, testUrl } from '../../schema/testing/bootstrapped-template.js'
import type { AccessMatrix } from '../../testing/access-matrix/access-matrix.js'
import { checkTable } from '../../testing/access-matrix/check-table.js'
import { type Access, type AccessDeclaration, accessOf, type Values } from '../../testing/access-matrix/declaration.js'
import { Scene } from '../../testing/access-matrix/scene.js'
import { useClient } from '../../testing/postgres/use-database.js'
import { until } from '../../time/until.js'
import { restDoor } from './rest-door.js'
import { useRestServer } from './use-rest-server.js'

interface App {
  readonly name: string
  readonly migrations: URL
}

const apiRoles: readonly string[] = ['anon', 'authenticated', 'service_role']

/** Over the API nobody comes under a role of the server. */
const overApi = (declaration: AccessDeclaration): AccessDeclaration => {
  const isShut = (name: string) => !apiRoles.includes(declaration.callers[name]?.role ?? '')
  const tables = Object.entries(declaration.tables).map(([table, declared]) => {
    const access = Object.entries(declared.access).map(([name, own]) => [name, isShut(name) ? ('denied' as const) : own] as const)
    return [table, { ...declared, access: Object.fromEntries(access) }] as const
  })
  return { ...declaration, tables: Object.fromEntries(tables) }
}

const events = ['INSERT', 'UPDATE', 'DELETE'] as const

const toldTablesSql = `select tablename::text as name from pg_publication_tables where pubname = 'supabase_realtime' and schemaname = $1`

interface Listening {
  readonly name: string
  readonly table: string
  readonly told: Told
}

/** Every caller listens to every table, apart from those to whom that is refused. */
const listenAll = async ({ changes }: OpenTold, { tables, callers, schema = 'public' }: AccessDeclaration) => {
  const listening: Listening[] = []
  for (const table of Object.keys(tables))
    for (const [name, { role, claims }] of Object.entries(callers)) {
      const told = createTold()
      const caller = { role, claims: { ...claims, role } }
      const listens = changes.listen({ caller, listener: told, bindings: [{ event: '*', schema, table }] })
      const isRefused = await listens.then(
        () => false,
        (error: { readonly code?: string }) => /^TM_REALTIME_/.test(error.code ?? ''),
      )
      if (!isRefused) listening.push({ name, table, told })
    }
  return listening
}

const idOf = ({ change: { record, oldRecord } }: Told['changes'][number]): string => String((record ?? oldRecord)?.['id'])

/** Everybody has heard what he will ever hear of what was before that row. */
const untilHeard = async (listening: readonly Listening[], last: Values): Promise<void> => {
  const find = () =>
    listening.flatMap(({ told }) => told.changes).find((told) => told.change.event === 'UPDATE' && idOf(told) === last['id'])
  const { change } = await until(find, { what: 'The last row' })
  const isPast = (position: Position): boolean => comparePositions(position, change.position) >= 0
  await until(() => listening.every(({ told }) => told.passes.some(isPast)), { what: 'The end for everybody' })
}

const isShown = (access: Access, isOwn: boolean): boolean => access === 'all' || (access === 'own' && isOwn)

export const describeDoors = (matrix: AccessMatrix, app: App): void => {
  describe('R121, C76, RT-1: who may do what over the API', () => {
    const declaration = overApi(matrix.declaration)
    const tables = Object.keys(declaration.tables)
    const callers = Object.entries(declaration.callers)
    const server = useRestServer({
      template: bootstrappedTemplate,
      schema: 'public',
      settings: { transactionOverride: true },
      prepare: async (url) => {
        const connect = connectTo(testUrl(url, 'migrator'))
        await createMigrator({ connect, sources: [platformSource, appSource(app.name, app.migrations)] }).up()
      },
    })
    const session: pg.Client = useClient({ url: server.databaseUrl })
    let scene: Scene
    let opened: OpenTold | undefined

    beforeAll(async () => {
      scene = await Scene.lay(session, declaration, restDoor(server))
    })
    afterAll(() => opened?.close())

    it.each(tables)('over REST: %s', async (table) => {
      const violations = await Promise.all(callers.map(([name]) => checkTable(scene, declaration, table, name, 'api')))
      expect(violations.flat()).toEqual([])
    })

    it('live: whoever may read a row is told of it, and nobody else', async () => {
      const { rows } = await session.query<{ name: string }>(toldTablesSql, [declaration.schema ?? 'public'])
      const live = new Set(rows.map(({ name }) => name))
      opened = await openTold({
        url: server.databaseUrl,
        slot: `doors_${app.name.replaceAll('-', '_')}`,
        settings: { passEveryMs: 50 },
      })
      const listening = await listenAll(opened, declaration)
      const owners = new Map<string, string>()
      let last: Values | undefined
      for (const table of tables)
        for (const owner of declaration.owners) {
          const row = scene.rowOf(table, owner) ?? {}
          owners.set(String(row['id']), owner)
          await scene.stir(table, owner)
          if (live.has(table)) last = row
        }
      if (last) await untilHeard(listening, last)

      const violations = tables.flatMap((table) =>
        callers.flatMap(([name, { owner: own }]) => {
          const heard = listening.find((each) => each.name === name && each.table === table)?.told.changes ?? []
          const access = accessOf(declaration.tables[table]!.access[name]!, 'select')
          return declaration.owners.flatMap((owner) => {
            const shown = live.has(table) && isShown(access, owner === own)
            return events.flatMap((event) => {
              const hears = heard.some((told) => told.change.event === event && owners.get(idOf(told)) === owner)
              // Of a row that is gone it may be in doubt who saw it: then nobody is told.
              if (hears === shown || (event === 'DELETE' && shown)) return []
              return [`${table}: ${name} is ${hears ? '' : 'not '}told of an ${event} of ${owner}'s row.`]
            })
          })
        }),
      )
      expect(violations).toEqual([])
    })
  })
}
