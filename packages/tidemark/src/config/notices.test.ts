import { describe, expect, it } from 'vitest'
import { configNotices, poolDemand, resolveConfig } from './config.js'

describe('poolDemand', () => {
  it('adds up the pools of one server and keeps others apart', () => {
    const config = resolveConfig({
      env: {
        DATABASE_URL: 'postgres://a/d',
        ANALYTICS_DATABASE_URL: 'postgres://pooler:6543/d',
        SECONDARY_DATABASE_URL: 'postgres://b:5433/d',
      },
    })
    expect(poolDemand(config)).toEqual([
      { server: 'a:5432', pools: ['primary', 'migration', 'auth', 'rest', 'realtime'], connections: 54 },
      { server: 'pooler:6543', pools: ['analytics'], connections: 10 },
      { server: 'b:5433', pools: ['secondary'], connections: 10 },
    ])
    expect(poolDemand(resolveConfig({ env: {} }))).toEqual([
      { server: 'embedded', pools: ['primary', 'analytics', 'migration', 'auth', 'rest', 'realtime'], connections: 64 },
    ])
    expect(poolDemand(resolveConfig({ env: { DATABASE_URL: 'postgres:///d?host=/run/postgresql' } }))[0]?.server).toBe(
      '/run/postgresql:5432',
    )
  })
})

describe('configNotices', () => {
  it("C73: the pools' sum is compared with what the server allows", () => {
    const config = resolveConfig({ env: {} })
    expect(configNotices(config, { maxConnections: 100 })).toEqual([])
    expect(configNotices(config, { maxConnections: 67 })).toEqual([])
    expect(configNotices(config, { maxConnections: 66 })[0]).toContain('may open 64 connections to embedded, which allows 66')
    expect(configNotices(config)).toEqual([])
  })

  it('C24: Upstash over redis:// is pointed out', () => {
    expect(configNotices(resolveConfig({ env: { REDIS_URL: 'redis://x.upstash.io:6379' } }))[0]).toContain('rediss://')
    expect(configNotices(resolveConfig({ env: { REDIS_URL: 'rediss://x.upstash.io:6379' } }))).toEqual([])
  })

  it('points out a short signing secret without showing it', () => {
    const [notice] = configNotices(resolveConfig({ env: { JWT_SECRET: 'hunter2' } }))
    expect(notice).toContain('shorter than 32')
    expect(notice).not.toContain('hunter2')
  })
})
