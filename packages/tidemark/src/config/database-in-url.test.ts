import { describe, expect, it } from 'vitest'
import { resolveConfig } from './config.js'
import { withDatabase } from './database-in-url.js'

describe('another database of the same server', () => {
  it.each([
    ['postgres://u:p@host:5432/one?sslmode=require', 'postgres://u:p@host:5432/two?sslmode=require'],
    ['postgresql://host', 'postgresql://host/two'],
    ['postgres://host?application_name=a/b', 'postgres://host/two?application_name=a/b'],
    ['postgres:///one?host=/run/postgresql', 'postgres:///two?host=/run/postgresql'],
    ['postgres://u:p%40%2F@host/one', 'postgres://u:p%40%2F@host/two'],
  ])('%s', (url, other) => {
    expect(withDatabase(url, 'two')).toBe(other)
  })

  it('is meant by all connection strings of the primary, and by no other', () => {
    const url = 'postgres://u@host/one'
    const { postgres } = resolveConfig({
      env: {
        TIDEMARK_DATABASE: 'two',
        DATABASE_URL: url,
        DIRECT_URL: url,
        ANALYTICS_DATABASE_URL: url,
        SECONDARY_DATABASE_URL: url,
      },
    })
    const two = 'postgres://u@host/two'
    expect(postgres).toMatchObject({ url: two, directUrl: two, analyticsUrl: two, secondaryUrl: url })
  })
})
