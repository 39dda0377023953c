import { describe, expect, it } from 'vitest'
import type { SchemaWatch } from '../../sqlite/capture/capture.js'
import { createFakeClock } from '../../testing/fake-clock.js'
import { SchemaJudge } from './schema-change.js'

const steady: SchemaWatch = { schemaVersion: 1, moved: false, unarmed: [], dropped: [], added: [], reshaped: [] }
const changed = { code: 'TM_MOVE_SCHEMA_CHANGED' }

describe('the judge of schema changes', () => {
  it('lets a table be away for a moment, each time anew', async () => {
    const clock = createFakeClock()
    const judge = new SchemaJudge('app.db', clock)
    const away = { ...steady, moved: true, dropped: ['t'] }
    expect(judge.judge(steady)).toBe('steady')
    expect(judge.judge(away)).toBe('wait')
    await clock.advance(2900)
    expect(judge.judge(away)).toBe('wait')
    expect(judge.judge({ ...steady, moved: true, unarmed: ['t'] })).toEqual(['t'])
    await clock.advance(2900)
    expect(judge.judge(away)).toBe('wait')
    await clock.advance(3000)
    expect(() => judge.judge(away)).toThrow(expect.objectContaining(changed))
  })

  it('refuses another shape at once, and tells each new table once', () => {
    const judge = new SchemaJudge('app.db', createFakeClock())
    expect(() => judge.judge({ ...steady, moved: true, reshaped: ['t', 'u'] })).toThrow(/t, u has other columns/)
    expect(judge.news({ ...steady, added: ['a', 'b'] })).toEqual(['a', 'b'])
    expect(judge.news({ ...steady, added: ['a', 'b', 'c'] })).toEqual(['c'])
  })
})
