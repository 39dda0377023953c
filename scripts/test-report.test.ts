import { describe, expect, it } from 'vitest'
import {
  closingLine,
  countsOf,
  coverageGates,
  lineCoverage,
  secondTries,
  skippedTests,
  type VitestReport,
} from './test-report.ts'

const file = (status: string, ...tests: readonly string[]): VitestReport['testResults'][number] => ({
  name: 'x.test.ts',
  status,
  assertionResults: tests.map((result, index) => ({ status: result, fullName: `test ${index}` })),
})

const report = (success: boolean, ...testResults: VitestReport['testResults']): VitestReport => {
  const statuses = testResults.flatMap(({ assertionResults }) => assertionResults.map(({ status }) => status))
  const count = (status: string): number => statuses.filter((other) => other === status).length
  return { success, testResults, numPassedTests: count('passed'), numFailedTests: count('failed') }
}

describe('the count of a test run', () => {
  it('counts tests', () => {
    const run = report(false, file('failed', 'passed', 'failed', 'skipped', 'todo'), file('passed', 'passed'))
    expect(countsOf(run)).toEqual({ passed: 2, failed: 1, skipped: 2 })
    expect(skippedTests(run)).toEqual(['test 2', 'test 3'])
  })

  it('counts a file that could not be loaded, or whose set-up failed, as a failure', () => {
    expect(countsOf(report(false, file('failed'), file('passed', 'passed')))).toEqual({ passed: 1, failed: 1, skipped: 0 })
  })

  it('counts a run that failed for no test as a failure', () => {
    expect(countsOf(report(false, file('passed', 'passed'))).failed).toBe(1)
    expect(countsOf(report(true, file('passed', 'passed'))).failed).toBe(0)
  })

  it('names what passed at its second try, with why it had failed', () => {
    const [first, ...others] = file('failed', 'passed', 'failed', 'passed').assertionResults.map((test) => ({
      ...test,
      failureMessages: test.fullName === 'test 2' ? [] : ['Error: not yet'],
    }))
    const run = report(false, { ...file('failed'), assertionResults: [first!, ...others] })
    expect(secondTries(run)).toEqual(['test 0\nError: not yet'])
    expect(countsOf(run)).toEqual({ passed: 2, failed: 1, skipped: 0 })
  })

  it('ends in one line', () => {
    expect(closingLine({ passed: 12, failed: 0, skipped: 0 })).toBe('12 passed, 0 failed')
    expect(closingLine({ passed: 12, failed: 1, skipped: 3 })).toBe('12 passed, 1 failed, 3 skipped')
  })
})

describe('gates of coverage', () => {
  const lines = (total: number, covered: number) => ({ lines: { total, covered } })

  it('add up the lines of their own files alone', () => {
    const summary = {
      total: lines(1000, 0),
      '/r/packages/a/src/x.ts': lines(10, 10),
      '/r/packages/a/src/y.ts': lines(30, 20),
      '/r/packages/ab/src/x.ts': lines(50, 0),
    }
    const [gate, empty] = coverageGates(['a', 'none'], [])
    expect(lineCoverage(summary, '/r', gate!)).toBe(75)
    expect(lineCoverage(summary, '/r', empty!)).toBe(100)
  })

  it('tell repositories of applications from what is around them, and leave out what only runs as a process', () => {
    const gates = coverageGates([], ['chat', 're-engine'])
    const gatesOf = (path: string) => gates.filter(({ covers }) => covers(path)).map(({ name, percent }) => `${name} ${percent}`)
    expect(gatesOf('apps/chat/src/messages.ts')).toEqual(['apps/chat, repository 95'])
    expect(gatesOf('apps/chat/src/import/plan.ts')).toEqual(['apps/chat, services 85'])
    expect(gatesOf('apps/re-engine/src/repository/leads.ts')).toEqual(['apps/re-engine, repository 95'])
    expect(gatesOf('apps/re-engine/src/main.ts')).toEqual([])
  })
})
