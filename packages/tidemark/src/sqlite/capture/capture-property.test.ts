import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openCaptureDatabase } from './capture-database.js'
import { installCapture } from './install.js'
import { runDifferential } from './testing/differential.js'
import { hasProgram, runPythonDifferential } from './testing/other-library.js'
import { createRandom } from './testing/random.js'
import { type RandomSchema, randomSchema } from './testing/random-schema.js'
import { randomStep } from './testing/random-statements.js'

/** A long run: CAPTURE_SEEDS=2000 CAPTURE_STEPS=250. */
const seeds = Number(process.env['CAPTURE_SEEDS'] ?? 40)
const steps = Number(process.env['CAPTURE_STEPS'] ?? 60)
const first = Number(process.env['CAPTURE_FIRST'] ?? 1)

let root: string
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'tidemark-capture-property-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const make = (path: string, sql: readonly string[]): boolean => {
  const db = new Sqlite(path)
  try {
    db.transaction(() => sql.forEach((statement) => void db.exec(statement)))()
    return true
  } catch {
    return false
  } finally {
    db.close()
  }
}

describe('MOVE-1 random statements on random schemas', () => {
  it('leave no changed key out of the log, and do what they do without capture', async () => {
    let [statements, changedKeys] = [0, 0]
    for (let seed = first; seed < first + seeds; seed++) {
      const result = await runDifferential(seed, steps)
      expect(result.failures).toEqual([])
      statements += result.statements
      changedKeys += result.changedKeys
    }
    expect(statements).toBeGreaterThan(seeds * steps * 0.5)
    expect(changedKeys).toBeGreaterThan(seeds * steps * 0.2)
  }, 600_000)

  const inPython = async (seed: number, schema: RandomSchema, journal: 'DELETE' | 'WAL'): Promise<number> => {
    const [captured, twin] = ['captured', 'twin'].map((name) => join(root, `${journal}-${seed}-${name}.db`)) as [string, string]
    if (!make(captured, schema.sql) || !make(twin, schema.sql)) return 0
    const file = await openCaptureDatabase(captured, { busyTimeoutMs: 5000 })
    await installCapture(file, { runId: 'run', captureId: 'capture', epoch: 1n, tables: schema.tables })
    file.close()
    const random = createRandom(seed)
    const steps = Array.from({ length: 50 }, () => randomStep(random, schema))
    const result = await runPythonDifferential({ schema, captured, twin, journal, steps })
    expect([seed, ...result.failures]).toEqual([seed])
    return result.statements
  }

  it.runIf(hasProgram('python3')).each(['DELETE', 'WAL'] as const)(
    'are captured in the library of another language, with the journal mode %s',
    async (journal) => {
      let statements = 0
      for (let seed = first; seed < first + Math.ceil(seeds * 0.3); seed++)
        statements += await inPython(seed, randomSchema(createRandom(seed)), journal)
      expect(statements).toBeGreaterThan(400)
    },
    300_000,
  )
})
