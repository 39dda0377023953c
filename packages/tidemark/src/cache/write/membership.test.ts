import { afterEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../observability/observability.js'
import type { CachePool } from '../cache.js'
import { ModelClock } from '../testing/model-clock.js'
import { ModelPostgres } from '../testing/model-postgres.js'
import { Membership } from './membership.js'

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe('a node among those that answer linearizable entries', () => {
  const members: Membership[] = []

  afterEach(async () => {
    for (const member of members.splice(0)) await member.stop()
  })

  const open = () => {
    const clock = new ModelClock()
    const inner = new ModelPostgres(async () => undefined, clock).pool()
    const gate = { joins: 0, isClosed: false, open: () => {} }
    const pool: CachePool = {
      query: inner.query,
      withClient: inner.withClient,
      transaction: async (fn) => {
        const result = await inner.transaction(fn)
        gate.joins++
        if (gate.isClosed) await new Promise<void>((resolve) => Object.assign(gate, { open: resolve }))
        return result
      },
    }
    const member = new Membership({ pool, clock, log: silentLogger })
    members.push(member)
    return { member, clock, gate }
  }

  it('joins again at once after a reset, and answers when it has heard what was announced before', async () => {
    const { member, clock, gate } = open()
    member.start()
    await settled()
    expect(member.isMember).toBe(false)
    member.fresh(clock.monotonicMs())
    expect(member.isMember).toBe(true)
    await member.reset()
    expect(member.isMember).toBe(false)
    await settled()
    member.fresh(clock.monotonicMs() - 1)
    expect([gate.joins, member.isMember]).toEqual([2, false])
    member.fresh(clock.monotonicMs())
    expect(member.isMember).toBe(true)
  })

  it('takes a join that a reset overtook for none: of one cut short since, the feed would tell nothing to compare with', async () => {
    const { member, clock, gate } = open()
    gate.isClosed = true
    member.start()
    await settled()
    await member.reset()
    gate.isClosed = false
    gate.open()
    await settled()
    expect(gate.joins).toBe(2)
    member.fresh(clock.monotonicMs())
    expect(member.isMember).toBe(true)
  })

  it('does not answer once it could not renew what it had', async () => {
    const { member, clock } = open()
    member.start()
    await settled()
    member.fresh(clock.monotonicMs())
    expect(member.isMember).toBe(true)
    clock.advance(14_000)
    expect(member.isMember).toBe(false)
  })
})
