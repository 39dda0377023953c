import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createRandom } from '../../../packages/tidemark/src/testing/random.js'
import { generate, generateAcceptanceSample, main } from './generate.js'
import { isoTime, pythonJson, pythonRepr } from './made-up/python-values.js'
import { tableNames } from './made-up/write-rows.js'

let directory: string
let files = 0
const fresh = () => join(directory, `${++files}.db`)

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'reanna-'))
})

afterAll(() => {
  rmSync(directory, { recursive: true, force: true })
})

const read = <T>(path: string, work: (database: Database.Database) => T): T => {
  const database = new Database(path, { readonly: true })
  try {
    return work(database)
  } finally {
    database.close()
  }
}

const column = (path: string, sql: string): unknown[] => read(path, (database) => database.prepare(sql).pluck().all())

describe('generate', () => {
  it('writes the same bytes for the same seed, and others for another', () => {
    const [a, b, c] = [fresh(), fresh(), fresh()]
    const counts = generate(a, { seed: 7, tours: 60 })
    expect(generate(b, { seed: 7, tours: 60 })).toEqual(counts)
    expect(readFileSync(b).equals(readFileSync(a))).toBe(true)
    generate(c, { seed: 8, tours: 60 })
    expect(readFileSync(c).equals(readFileSync(a))).toBe(false)
  })

  it.each([3, 200])('R87: has each flaw in %i tours, and counts them', (tours) => {
    const path = fresh()
    const counts = generate(path, { tours })
    expect(counts.tours).toBe(tours)
    for (const [flaw, count] of Object.entries(counts.flaws)) {
      if (flaw !== 'unknownSent') expect(count, flaw).toBeGreaterThan(0)
    }
    for (const table of tableNames) expect(column(path, `select count(*) from ${table}`)).toEqual([counts[table]])
  })

  it('C17, C19: ids are dashless version 4 uuids, times are ISO text with and without microseconds and zone', () => {
    const path = fresh()
    generate(path)
    for (const table of tableNames) {
      for (const id of column(path, `select id from ${table}`)) expect(id).toMatch(/^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/)
    }
    const times = column(path, 'select start_time from tours union all select created_at from tasks') as string[]
    for (const time of times) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z?$/)
    for (const form of [/\d\dT\d\d:\d\d:\d\d$/, /\.\d{6}$/, /Z$/]) expect(times.some((time) => form.test(time))).toBe(true)
  })

  it('fills the five columns that the plan forgot, and leaves sent_to_agent 0, 1 and unknown (C16)', () => {
    const path = fresh()
    const counts = generate(path)
    for (const name of ['contact_method', 'confirmation_status', 'constraint_indicator', 'square_footage', 'video_url']) {
      const [filled, all] = column(
        path,
        `select count(${name}) from property_visits union all select count(*) from property_visits`,
      )
      expect(Number(filled), name).toBeGreaterThan(0)
      expect(Number(filled), name).toBeLessThan(Number(all))
    }
    expect(column(path, 'select distinct sent_to_agent from feedback order by 1')).toEqual([null, 0, 1])
    expect(counts.flaws.unknownSent).toBeGreaterThan(0)
  })

  it('adds the columns of later releases where asked', () => {
    const path = fresh()
    generate(path, { enhanced: true, tours: 20 })
    expect(column(path, 'select distinct crm_sync_status from tours order by 1')).toEqual([
      'failed',
      'not_synced',
      'pending',
      'synced',
    ])
    expect(column(path, 'select count(*) from feedback where notification_attempts is null')).toEqual([0])
  })

  it('keeps every order that the target checks', () => {
    const path = fresh()
    generate(path, { tours: 400, seed: 3 })
    const wrong = [
      'select count(*) from tours where substr(end_time, 1, 19) <= substr(start_time, 1, 19)',
      'select count(*) from property_visits where substr(scheduled_departure, 1, 19) < substr(scheduled_arrival, 1, 19)',
      'select count(*) from property_visits where substr(actual_departure, 1, 19) < substr(actual_arrival, 1, 19)',
      "select count(*) from tasks where status = 'completed' and completed_time is null",
    ]
    for (const sql of wrong) expect(column(path, sql), sql).toEqual([0])
  })
})

describe('generateAcceptanceSample', () => {
  it('S1: holds 3 tours, 7 visits, 12 tasks, 5 feedback, and one of each flaw', () => {
    const path = fresh()
    expect(generateAcceptanceSample(path)).toEqual({
      tours: 3,
      property_visits: 7,
      tasks: 12,
      feedback: 5,
      flaws: { brokenRoutes: 1, nullFeedback: 1, orphanVisits: 1, orphanTasks: 0, orphanFeedback: 0, unknownSent: 0 },
    })
    expect(column(path, 'select count(*) from property_visits where square_footage is not null')).toEqual([6])
  })
})

describe('the command line', () => {
  const run = (...argv: string[]) => {
    const written: string[] = []
    const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0)
    const err = vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0)
    try {
      return { code: main(argv), text: written.join('') }
    } finally {
      out.mockRestore()
      err.mockRestore()
    }
  }

  it('writes a file and tells its counts', () => {
    expect(run(fresh(), '--seed', '2', '--tours', '5', '--enhanced')).toMatchObject({
      code: 0,
      text: expect.stringContaining('5 tours'),
    })
    expect(run(fresh(), '--acceptance').text).toContain('3 tours, 7 property_visits, 12 tasks, 5 feedback')
  })

  it('refuses what it cannot do', () => {
    const path = fresh()
    expect(run(path).code).toBe(0)
    expect(run(path)).toMatchObject({ code: 2, text: expect.stringContaining('exists') })
    for (const argv of [[], [fresh(), 'more'], [fresh(), '--seed', 'x'], [fresh(), '--tours', '2'], [fresh(), '--what']]) {
      expect(run(...argv), argv.join(' ')).toMatchObject({ code: 2, text: expect.stringContaining('Usage') })
    }
  })
})

describe('values as Python writes them', () => {
  it('writes times, JSON and dictionaries', () => {
    expect(isoTime(Date.UTC(2025, 0, 2, 3, 4, 5))).toBe('2025-01-02T03:04:05')
    expect(isoTime(Date.UTC(2025, 0, 2, 3, 4, 5), 70)).toBe('2025-01-02T03:04:05.000070')
    expect(pythonJson({ a: [1, 'é"', null], b: true })).toBe('{"a": [1, "\\u00e9\\"", null], "b": true}')
    expect(pythonRepr({ a: null, b: true, c: 'x' })).toBe("{'a': None, 'b': True, 'c': 'x'}")
  })

  it('draws evenly from its range', () => {
    const random = createRandom(1)
    const drawn = Array.from({ length: 6000 }, () => random.integer(1, 6))
    for (let side = 1; side <= 6; side += 1) {
      expect(drawn.filter((value) => value === side).length).toBeGreaterThan(850)
      expect(drawn.filter((value) => value === side).length).toBeLessThan(1150)
    }
    expect(() => random.pick(['only'])).not.toThrow()
  })
})
