import { readFile, writeFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { useDatabase } from '../testing/postgres/use-database.js'
import { useFolder } from '../testing/use-folder.js'
import { platformSource, projectSource } from './migration-files.js'
import { createMigrationService } from './migration-service.js'
import { createMigrator } from './migrator.js'
import { sessionsOf } from './sessions.js'
import { bootstrappedTemplate, testUrl } from './testing/bootstrapped-template.js'

const databases = [useDatabase({ template: bootstrappedTemplate }), useDatabase({ template: bootstrappedTemplate })]
const directory = useFolder('service')

const connectOf = (index: number) => {
  const url = testUrl(databases[index]!.url, 'migrator')
  return sessionsOf(index === 0 ? { url, directUrl: url } : { url })
}
const serviceOf = (index: number, both = false) =>
  createMigrationService({
    migrator: createMigrator({ connect: connectOf(index), sources: [platformSource, projectSource(directory)] }),
    ...(both ? { databases: { primary: connectOf(0), secondary: connectOf(1) } } : {}),
  })

const byHand = async (sql: string) => {
  const client = await connectOf(0)()
  await client.query(sql)
  await client.end()
}

it('R85: creates, runs, tells the status, and R86: compares the two databases', async () => {
  const service = serviceOf(0)
  const path = await service.createMigration('Create agents')
  expect(await readFile(path, 'utf8')).toBe('')
  await writeFile(path, 'create table agents (id int primary key);')
  const before = await service.getMigrationStatus()
  expect(before).toMatchObject({ current: null, upToDate: false })
  expect((await service.runMigrations()).applied).toHaveLength(1)
  expect(await service.getMigrationStatus()).toMatchObject({ current: before.head, head: before.head, upToDate: true })
  expect(await service.syncSchemas()).toEqual({ inSync: true, differences: [] })

  expect(await serviceOf(0, true).syncSchemas()).toMatchObject({
    inSync: false,
    differences: [{ name: 'agents', state: 'extra' }],
  })
  await serviceOf(1).runMigrations(before.head ?? undefined)
  expect(await serviceOf(0, true).syncSchemas()).toEqual({ inSync: true, differences: [] })

  await byHand('alter table agents add column by_hand text')
  const column = { kind: 'column', schema: 'public', parent: 'agents', name: 'by_hand', state: 'extra', attributes: [] }
  expect((await serviceOf(0, true).syncSchemas()).differences).toEqual([column])
  expect((await service.syncSchemas()).differences).toEqual([column])
  const migrator = createMigrator({ connect: connectOf(0), sources: [platformSource] })
  expect(await migrator.types()).toMatch(/agents: \{\n\s+Row: \{\n\s+by_hand: string \| null\n\s+id: number\n/)
})
