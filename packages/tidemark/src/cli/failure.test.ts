import { CommanderError } from 'commander'
import pc from 'picocolors'
import { describe, expect, test } from 'vitest'
import { TidemarkError } from '../errors.js'
import { renderFailure, toFailure } from './failure.js'

const plain = pc.createColors(false)

describe('a failure', () => {
  test('says what happened, what to do, and the code to look up', () => {
    const failure = new TidemarkError('TM_SERVER_NOT_RUNNING', { path: '/app' })
    expect(renderFailure(failure, plain, false).split('\n')).toEqual([
      '✗ No Tidemark server runs in /app.',
      '  Start one with `tidemark dev`.',
      '  TM_SERVER_NOT_RUNNING · docs/errors.md',
    ])
  })

  test('SEC-2: with --verbose it adds its causes and where they arose, secrets masked', () => {
    const deepest = new Error('connect postgres://me:hunter2@host/db')
    const failure = new TidemarkError('TM_INTERNAL', { reason: 'it broke' }, { cause: new Error('middle', { cause: deepest }) })
    const text = renderFailure(failure, plain, true)
    expect(text).toContain('because: middle')
    expect(text).toContain('because: connect postgres://me:***@host/db')
    expect(text).toContain('failure.test.ts')
    expect(text).not.toContain('hunter2')
  })

  test('a wrong command line is TM_CLI_USAGE, its suggestion included', () => {
    const error = new CommanderError(1, 'commander.unknownOption', "error: unknown option '--jsn'\n(Did you mean --json?)")
    const failure = toFailure(error, 'tidemark move')
    expect(failure.code).toBe('TM_CLI_USAGE')
    expect(failure.message).toBe("unknown option '--jsn'. Did you mean --json?")
    expect(failure.fix).toContain('`tidemark move --help`')
    expect(failure.exitCode).toBe(2)
  })

  test('what nobody foresaw is TM_INTERNAL', () => {
    expect(toFailure(new TypeError('oops'), 'tidemark')).toMatchObject({ code: 'TM_INTERNAL', exitCode: 1 })
  })
})
