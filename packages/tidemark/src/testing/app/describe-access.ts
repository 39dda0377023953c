/** A vitest suite of an app's access matrix: on its migrations as they are, and as they would be in a Supabase project. */
import type pg from 'pg'
import { beforeAll, describe, expect, it } from 'vitest'
import { appSource, platformSource } from '../../schema/migration-files.js'
import { createMigrator } from '../../schema/migrator.js'
import { bootstrappedTemplate, connectTo, testUrl } from '../../schema/testing/bootstrapped-template.js'
import type { AccessMatrix } from '../access-matrix/access-matrix.js'
import { useClient, useDatabase } from '../postgres/use-database.js'

interface App {
  readonly name: string
  readonly migrations: URL
}

/** What a new Supabase project grants on everything that is made in public. */
const openByDefault = ['tables', 'sequences', 'functions'].map(
  (kind) =>
    `alter default privileges for role tidemark_migrator in schema public grant all on ${kind} to anon, authenticated, service_role`,
)

const places: Readonly<Record<string, readonly string[]>> = {
  'where nothing is granted by default': [],
  'where everything is granted by default, as in a Supabase project': openByDefault,
}

export const describeAccess = (matrix: AccessMatrix, app: App): void => {
  describe.each(Object.keys(places))('R121, R122: who may do what, %s', (place) => {
    const database = useDatabase({ template: bootstrappedTemplate })
    const client: pg.Client = useClient(database)

    beforeAll(async () => {
      for (const statement of places[place] ?? []) await client.query(statement)
      const connect = connectTo(testUrl(database.url, 'migrator'))
      const migrator = createMigrator({ connect, sources: [platformSource, appSource(app.name, app.migrations)] })
      const { findings } = await migrator.up()
      expect(findings.filter(({ level }) => level === 'error')).toEqual([])
    })

    for (const { name, run } of matrix.cases) it(name, () => run(client))
  })
}
