import { describe, expect, it } from 'vitest'
import { type MoveState, transitions } from '../move/live/live-state.js'
import { checkProvider, decide, type FileMove, kindOf, type RecordedMove } from './decide.js'
import { shareOf } from './share.js'
import type { Provider } from './store.js'

const recorded = (state: RecordedMove['state'], changes: Partial<RecordedMove> = {}): RecordedMove => ({
  runId: '1',
  path: '/app.db',
  state,
  epoch: 3n,
  readsPercent: 25,
  isLive: true,
  ...changes,
})
const file = (changes: Partial<FileMove> = {}): FileMove => ({
  epoch: 3n,
  fence: 'open',
  isExpired: false,
  wasOpenedAlone: false,
  ...changes,
})

describe('who is in charge', () => {
  it('is what the environment says while no move decides', () => {
    for (const state of ['planned', 'copied', 'aborted'] as const) {
      for (const provider of ['sqlite', 'postgres'] as const) {
        expect(decide({ recorded: recorded(state), file: null, provider })).toEqual({
          writer: provider,
          reader: provider,
          move: null,
          source: 'environment',
        })
      }
    }
    expect(decide({ recorded: recorded('copying', { isLive: false }), file: null, provider: 'postgres' }).writer).toBe('postgres')
    expect(decide({ recorded: null, file: null, provider: 'postgres' }).source).toBe('environment')
  })

  it('is what the state of a live move says, whatever the environment', () => {
    const found = (Object.keys(transitions) as MoveState[]).map((state) => {
      const { writer, reader, move } = decide({ recorded: recorded(state), file: null, provider: 'postgres' })
      return move && [state, writer, reader, move.readsPercent]
    })
    expect(found.filter((line) => line !== null)).toEqual([
      ['copying', 'sqlite', 'sqlite', 0],
      ['following', 'sqlite', 'sqlite', 25],
      ['cuttingOver', null, 'sqlite', 0],
      ['mirroring', 'postgres', 'postgres', 0],
      ['rollingBack', null, 'postgres', 0],
      ['rolledBack', 'sqlite', 'sqlite', 0],
      ['finished', 'postgres', 'postgres', 0],
    ])
  })

  it('is what the file says where Postgres cannot be asked', () => {
    const of = (changes: Partial<FileMove>) => {
      const { writer, move, source } = decide({ recorded: null, file: file(changes), provider: 'postgres' })
      return [writer, move?.state, source]
    }
    expect(of({})).toEqual(['sqlite', 'following', 'file'])
    expect(of({ fence: 'cutting' })).toEqual([null, 'cuttingOver', 'file'])
    expect(of({ fence: 'cutting', isExpired: true })).toEqual(['sqlite', 'following', 'file'])
    expect(of({ fence: 'cut' })).toEqual(['postgres', 'mirroring', 'file'])
    expect(of({ wasOpenedAlone: true })).toEqual(['sqlite', 'rolledBack', 'file'])
  })

  it('is SQLite where the file was opened again without Postgres, though Postgres does not know it yet', () => {
    const opened = file({ wasOpenedAlone: true, epoch: 4n })
    expect(decide({ recorded: recorded('mirroring'), file: opened, provider: 'postgres' }).writer).toBe('sqlite')
    const earlier = file({ wasOpenedAlone: true, epoch: 2n })
    expect(decide({ recorded: recorded('mirroring'), file: earlier, provider: 'postgres' }).writer).toBe('postgres')
  })

  it('R92: an environment that contradicts the state is refused with the way out', () => {
    const refusal = (state: RecordedMove['state'], provider: Provider | undefined) => {
      try {
        checkProvider(
          decide({ recorded: recorded(state), file: null, provider: kindOf(provider ?? 'sqlite') }),
          provider,
          '/app.db',
        )
        return null
      } catch (error) {
        const { code, exitCode, fix } = error as { code: string; exitCode: number; fix: string }
        return { code, exitCode, names: /`([^`]+)`/.exec(fix)?.[1] }
      }
    }
    const contradicted = { code: 'TM_STORE_CONTRADICTED', exitCode: 6 }
    expect(refusal('following', 'postgres')).toEqual({ ...contradicted, names: 'tidemark move cutover /app.db' })
    expect(refusal('rolledBack', 'supabase')).toEqual({ ...contradicted, names: 'tidemark move cutover /app.db' })
    expect(refusal('mirroring', 'sqlite')).toEqual({ ...contradicted, names: 'tidemark move rollback /app.db' })
    expect(refusal('finished', 'sqlite')).toMatchObject(contradicted)
    expect(refusal('following', 'sqlite')).toBeNull()
    expect(refusal('mirroring', 'supabase')).toBeNull()
    expect(refusal('mirroring', undefined)).toBeNull()
    expect(refusal('cuttingOver', 'postgres')).toBeNull()
    expect(refusal('copied', 'postgres')).toBeNull()
  })
})

describe('a share', () => {
  it('is always the same for a name, and even over many', () => {
    expect(shareOf('session-1')).toBe(shareOf('session-1'))
    const below = Array.from({ length: 10_000 }, (_, i) => shareOf(`session-${i}`)).filter((share) => share < 25).length
    expect(below).toBeGreaterThan(2200)
    expect(below).toBeLessThan(2800)
  })
})
