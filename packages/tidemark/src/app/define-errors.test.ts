import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../errors.js'
import { defineErrors } from './define-errors.js'

const ShopError = defineErrors(
  'SHOP',
  { NOT_FOUND: { status: 404, message: 'There is no such article.' }, TAKEN: { status: 409, message: 'That name is in use.' } },
  { '23505': 'SHOP_TAKEN', TM_FEED_POSITION: { code: 'SHOP_INVALID', message: 'No position of this shop.', status: 409 } },
)
const MalformedError = defineErrors('M', { MALFORMED: { status: 400, message: 'Nobody can read that.' } })

const refused = (sqlstate: string): Error => Object.assign(new Error('a row of Alice is in the way'), { code: sqlstate })
const fastifyError = (statusCode: number): Error => Object.assign(new Error('words of the caller'), { statusCode })
const failed = { status: 500, code: 'SHOP_FAILED' }

describe('the errors of an application', () => {
  it('have the status and the words of their code, or words of their own', () => {
    expect(new ShopError('SHOP_NOT_FOUND')).toMatchObject({ status: 404, message: 'There is no such article.' })
    expect(new ShopError('SHOP_INVALID', 'too long')).toMatchObject({ status: 400, message: 'too long' })
    expect(new ShopError('SHOP_TAKEN')).toBeInstanceOf(ShopError)
    expect(new MalformedError('M_FAILED')).not.toBeInstanceOf(ShopError)
    const cause = new Error('why')
    expect(ShopError.named('UNAUTHENTICATED', undefined, { cause })).toMatchObject({
      status: 401,
      code: 'SHOP_UNAUTHENTICATED',
      cause,
    })
  })

  it('are what Postgres and Tidemark refuse, wherever it is raised', async () => {
    const taken = { status: 409, code: 'SHOP_TAKEN', message: 'That name is in use.' }
    const wrapped = new TidemarkError('TM_POSTGRES_QUERY', { sqlstate: '23505', reason: 'x' }, { cause: refused('23505') })
    for (const error of [refused('23505'), wrapped]) {
      expect(ShopError.refusalOf(error)).toMatchObject(taken)
      await expect(ShopError.refusing(Promise.reject(error))).rejects.toMatchObject({ ...taken, cause: error })
    }
    const position = { status: 409, code: 'SHOP_INVALID', message: 'No position of this shop.' }
    expect(ShopError.refusalOf(new TidemarkError('TM_FEED_POSITION', { text: 'x' }))).toMatchObject(position)
    const other = refused('23514')
    await expect(ShopError.refusing(Promise.reject(other))).rejects.toBe(other)
    expect(await ShopError.refusing(Promise.resolve(1))).toBe(1)
  })

  it('say of a failure that it may pass or not, and nothing else', () => {
    const away = new TidemarkError('TM_POSTGRES_UNREACHABLE', { target: 'h:1/d', reason: 'x' })
    expect(ShopError.refusalOf(away)).toMatchObject({ status: 503, code: 'SHOP_UNAVAILABLE' })
    for (const error of [
      new TidemarkError('TM_INTERNAL', { reason: 'words' }),
      new Error('words'),
      'words',
      undefined,
      fastifyError(502),
    ]) {
      const refusal = ShopError.refusalOf(error)
      expect(refusal).toMatchObject(failed)
      expect(refusal.message).not.toContain('words')
    }
  })

  it('keep the status of what Fastify refuses, in words of the table', () => {
    expect(ShopError.refusalOf(fastifyError(415))).toEqual({
      status: 415,
      code: 'SHOP_INVALID',
      message: 'The request is not valid.',
    })
    expect(ShopError.refusalOf(fastifyError(413))).toMatchObject({ status: 413, message: 'The request is too large.' })
    expect(MalformedError.refusalOf(fastifyError(400))).toEqual({
      status: 400,
      code: 'M_MALFORMED',
      message: 'Nobody can read that.',
    })
  })
})
