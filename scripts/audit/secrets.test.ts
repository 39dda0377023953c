import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { root } from '../repository.ts'
import { committedSecrets, secretsIn } from './secrets.ts'

const letters = (count: number): string => randomBytes(count).toString('hex').slice(0, count)

it('finds what says by its form that it is a secret, and takes nothing else for one', () => {
  const planted = [
    `${'-'.repeat(5)}BEGIN EC PRIVATE KEY${'-'.repeat(5)}`,
    `aws = AKI${'A'}IOSFODNN7EXAMPL2`,
    `token: ghp_${letters(36)}`,
    `https://hooks.slack.com/services/T0${'A'.repeat(8)}/B0${'B'.repeat(8)}/${letters(24)}`,
    `KEY='sb_secret_${letters(30)}'`,
    `postgres://postgres.abc:${letters(16)}@aws-0-eu-central-1.pooler.supabase.com:6543/postgres`,
    `ey${'JhbGciOiJIUzI1NiIsInR5cCI6'}.ey${'Jyb2xlIjoic2VydmljZV9yb2xlIn0'}.${letters(40)}`,
  ]
  expect(secretsIn('a.ts', planted.join('\n')).map(({ line }) => line)).toEqual(planted.map((_, at) => at + 1))
  const innocent = [
    'postgres://user:change-me@db.example.com/app',
    'sb_secret_…',
    'DATABASE_URL=postgres://…',
    'sk-learn',
    'eyJ…',
  ]
  expect(secretsIn('a.ts', innocent.join('\n'))).toEqual([])
})

it('finds none in what is committed (SEC-2)', () => {
  expect(committedSecrets(root)).toEqual([])
})
