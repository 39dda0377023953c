#!/usr/bin/env node
/** Writes a realistic, flawed reanna_router.db: `node apps/reanna-router/dist/generate.js out.db --seed 1 --tours 200`. */
import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import { createRandom, type FileCommandValues, isStarted, runFileCommand, wholeNumber } from 'tidemark/testing'
import { writeAcceptanceSample } from './made-up/acceptance-sample.js'
import { enhancedSchema, legacySchema } from './made-up/legacy-schema.js'
import { makeTour, type Row, type TourFlaws, type TourRows } from './made-up/make-tour.js'
import { type SampleCounts, tableNames, writeRows } from './made-up/write-rows.js'

export interface GenerateOptions {
  /** The same seed and the same options give the same file. Default 1. */
  readonly seed?: number
  /** Default 200. At least 3: each flaw has a tour of its own. */
  readonly tours?: number
  /** The first day on which one begins. Default 6 January 2025. */
  readonly firstDay?: Date
  /** Over how many days they are spread. Default 361. */
  readonly days?: number
  /** With the CRM and notification columns that later releases added. Default false. */
  readonly enhanced?: boolean
}

const defaultFirstDay = new Date(Date.UTC(2025, 0, 6))

const flawsOf = (index: number): TourFlaws => ({
  ...(index % 50 === 0 ? { route: 'repr' } : index % 50 === 25 || index === 1 ? { route: 'cut' } : {}),
  ...(index % 40 === 2 ? { silent: true } : {}),
  ...(index % 60 === 1 ? { orphan: true } : {}),
})

const crm = (index: number): Row => {
  const status = (['not_synced', 'synced', 'pending', 'failed'] as const)[index % 4] ?? 'not_synced'
  return {
    crm_sync_status: status,
    crm_sync_timestamp: status === 'synced' ? '2025-11-02T04:05:06.789000' : null,
    crm_sync_error: status === 'failed' ? 'HTTP 429: too many requests' : null,
  }
}

const notified = (index: number): Row => ({
  notification_attempts: index % 3,
  last_notification_attempt: index % 3 > 0 ? '2025-11-02T04:05:06' : null,
  notification_error: index % 3 > 1 ? 'timeout' : null,
})

const enhancedRows = (rows: TourRows, index: number): TourRows => ({
  ...rows,
  tour: { ...rows.tour, ...crm(index) },
  feedback: rows.feedback.map((row, place) => ({ ...row, ...notified(index + place) })),
})

/** Makes the file with its tables. Raises where there is one already. */
const openNew = (path: string, enhanced = false): Database.Database => {
  if (existsSync(path)) throw new Error(`${path} exists; delete it or choose another name`)
  const database = new Database(path)
  database.pragma('foreign_keys = OFF')
  database.exec(legacySchema)
  if (enhanced) database.exec(enhancedSchema)
  return database
}

/** Writes the file and tells what is in it, with the flaws that a move must report. */
export const generate = (path: string, options: GenerateOptions = {}): SampleCounts => {
  const { seed = 1, tours = 200, enhanced = false, firstDay = defaultFirstDay, days = 361 } = options
  if (!Number.isInteger(tours) || tours < 3) throw new Error('there must be at least 3 tours')
  const random = createRandom(seed)
  const database = openNew(path, enhanced)
  try {
    return writeRows(
      database,
      (function* () {
        for (let index = 0; index < tours; index += 1) {
          const rows = makeTour(random, { firstDayMs: firstDay.getTime(), days }, flawsOf(index))
          yield enhanced ? enhancedRows(rows, index) : rows
        }
      })(),
    )
  } finally {
    database.close()
  }
}

/** Writes exactly 3 tours, 7 visits, 12 tasks and 5 feedbacks, with one of each flaw. */
export const generateAcceptanceSample = (path: string): SampleCounts => {
  const database = openNew(path)
  try {
    return writeAcceptanceSample(database)
  } finally {
    database.close()
  }
}

const usage = 'Usage: generate.js FILE [--seed N] [--tours N] [--first-day YYYY-MM-DD] [--days N] [--enhanced] [--acceptance]\n'

const options = {
  seed: { type: 'string', default: '1' },
  tours: { type: 'string', default: '200' },
  'first-day': { type: 'string', default: defaultFirstDay.toISOString().slice(0, 10) },
  days: { type: 'string', default: '361' },
  enhanced: { type: 'boolean', default: false },
  acceptance: { type: 'boolean', default: false },
} as const

const optionsOf = (values: FileCommandValues): GenerateOptions => {
  const firstDay = new Date(`${values['first-day']}T00:00:00Z`)
  if (Number.isNaN(firstDay.getTime())) throw new Error('--first-day takes a day, such as 2026-01-31')
  const [seed, tours, days] = [wholeNumber(values, 'seed'), wholeNumber(values, 'tours'), wholeNumber(values, 'days', 1)]
  return { seed, tours, firstDay, days, enhanced: values['enhanced'] === true }
}

/** The command line; answers with the exit code. */
export const main = (argv: readonly string[]): number =>
  runFileCommand(argv, {
    usage,
    options,
    write: (path, values) => {
      const given = optionsOf(values)
      const counts = values['acceptance'] ? generateAcceptanceSample(path) : generate(path, given)
      return tableNames.map((name) => `${counts[name]} ${name}`).join(', ')
    },
  })

if (isStarted(import.meta.url)) process.exitCode = main(process.argv.slice(2))
