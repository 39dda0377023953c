import fc from 'fast-check'
import { expect, it } from 'vitest'
import { useDatabase } from '../../testing/postgres/use-database.js'
import { propertyRuns } from '../../testing/property-runs.js'
import { useFolder } from '../../testing/use-folder.js'
import { MirroredFile } from './testing/mirrored-file.js'
import { randomTables, randomTargets, randomTransactions } from './testing/random-statements.js'

const folder = useFolder('mirror-random')
const database = useDatabase()
let schemas = 0

const parameters = propertyRuns(4)

it('MOVE-5: after any statements in Postgres the file is equal, whatever stopped the mirror on the way', async () => {
  const property = fc.asyncProperty(
    randomTransactions(60),
    fc.array(fc.nat(60), { maxLength: 4 }),
    async (transactions, stops) => {
      const file = await MirroredFile.open({ folder, url: database.url, schema: `r${++schemas}`, make: randomTables })
      try {
        await file.client.query(randomTargets)
        let mirror = await file.mirror()
        for (const [i, statements] of transactions.entries()) {
          await file.client.query('BEGIN')
          try {
            for (const sql of statements) await file.client.query(sql)
            await file.client.query('COMMIT')
          } catch {
            await file.client.query('ROLLBACK')
          }
          if (!stops.includes(i)) continue
          await mirror.tick({ maxMs: 5 })
          await mirror.close()
          mirror = await file.mirror()
        }
        await file.write(mirror)
        expect(await file.differences()).toEqual([])
        expect(await file.unlike()).toEqual([])
        await mirror.close()
      } finally {
        await file.close()
      }
    },
  )
  await fc.assert(property, { ...parameters, endOnFailure: parameters.seed === undefined })
}, 300_000)
