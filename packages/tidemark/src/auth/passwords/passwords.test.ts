import { describe, expect, test } from 'vitest'
import { defaultCost, hashPassword, isKnownHash, isOutdated, matchesHash } from './password-hash.js'
import { checkPassword, weaknessOf } from './password-rules.js'
import { createPasswords } from './passwords.js'

const cost = { logN: 8, r: 8, p: 1 }
/** Slow enough to be told from nothing. */
const slowCost = { logN: 14, r: 8, p: 1 }

describe('hashes', () => {
  test('carry their cost and a salt of their own', async () => {
    const [a, b] = await Promise.all([hashPassword('secret word', cost), hashPassword('secret word', cost)])
    expect(a).toMatch(/^\$scrypt\$ln=8,r=8,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
    expect(a).not.toBe(b)
    expect(await matchesHash('secret word', a)).toBe(true)
    expect(await matchesHash('secret wors', a)).toBe(false)
    expect(await matchesHash('', a)).toBe(false)
  })

  test('of the usual cost take the memory that OWASP asks for', async () => {
    expect(128 * defaultCost.r * 2 ** defaultCost.logN).toBe(32 * 1024 ** 2)
    const hash = await hashPassword('x', defaultCost)
    expect(await matchesHash('x', hash)).toBe(true)
    expect(hash.length).toBeLessThanOrEqual(255)
  })

  test.each([
    ['$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'],
    ['$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$RdescudvJCsgt3ub+b4dWRWJTmaaJObG'],
    [''],
    ['plain'],
    ['$scrypt$ln=30,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
    ['$scrypt$ln=8,r=99,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  ])('of another kind, or of a cost that would stop the server, match nothing: %s', async (hash) => {
    expect(isKnownHash(hash)).toBe(false)
    expect(await matchesHash('x', hash)).toBe(false)
  })

  test('of another cost are outdated', async () => {
    const hash = await hashPassword('x', cost)
    expect(isOutdated(hash, cost)).toBe(false)
    expect(isOutdated(hash, { ...cost, p: 2 })).toBe(true)
    expect(isOutdated('plain', cost)).toBe(true)
  })
})

describe('verification', () => {
  const took = async (work: () => Promise<unknown>): Promise<number> => {
    const startedAt = performance.now()
    await work()
    return performance.now() - startedAt
  }

  test('takes as long for a user who does not exist, has no password, or one of another kind', async () => {
    const passwords = createPasswords({ cost: slowCost })
    const hash = await passwords.hash('right')
    await passwords.verify('warm', undefined)
    // The quickest of three: a machine that is busy elsewhere makes one of them long, but not all.
    const known = Math.min(
      await took(() => passwords.verify('wrong', hash)),
      await took(() => passwords.verify('wrong', hash)),
      await took(() => passwords.verify('wrong', hash)),
    )
    for (const unknown of [undefined, null, '', '$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy']) {
      const elapsed = await took(() => passwords.verify('wrong', unknown))
      expect(elapsed).toBeGreaterThan(known / 4)
    }
  })

  test('never matches the hash that stands in for a missing one', async () => {
    const passwords = createPasswords({ cost })
    for (const missing of [undefined, null, '', 'plain'])
      expect(await passwords.verify('', missing)).toEqual({ matches: false, outdated: false })
  })

  test('asks for a new hash where the cost has changed', async () => {
    const hash = await hashPassword('right', { ...cost, logN: 7 })
    expect(await createPasswords({ cost }).verify('right', hash)).toEqual({ matches: true, outdated: true })
  })

  test('runs a few at a time, in order, and refuses more than may wait', async () => {
    const passwords = createPasswords({ cost, concurrency: 2, maxWaiting: 3 })
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => passwords.hash('x')))
    expect(outcomes.map(({ status }) => status)).toEqual([...Array(5).fill('fulfilled'), ...Array(3).fill('rejected')])
    expect(outcomes[7]).toMatchObject({ reason: { status: 429, code: 'over_request_rate_limit' } })
    await expect(passwords.hash('x')).resolves.toMatch(/^\$scrypt/)
  })
})

describe('rules', () => {
  const rules = { passwordMinLength: 6, passwordMaxLength: 72 }

  test('count characters, not bytes', () => {
    expect(() => checkPassword('123456', rules)).not.toThrow()
    expect(() => checkPassword('é'.repeat(72), rules)).not.toThrow()
    expect(() => checkPassword('😀'.repeat(6), rules)).not.toThrow()
    expect(weaknessOf('😀'.repeat(5), rules)).toMatchObject({ reasons: ['length'] })
  })

  test('tell what is missing, as clients read it', () => {
    expect(() => checkPassword('12345', rules)).toThrow(
      expect.objectContaining({
        status: 422,
        code: 'weak_password',
        reasons: ['length'],
        message: 'Password should be at least 6 characters.',
      }),
    )
    expect(() => checkPassword('x'.repeat(73), rules)).toThrow(
      expect.objectContaining({ status: 400, code: 'validation_failed' }),
    )
  })
})
