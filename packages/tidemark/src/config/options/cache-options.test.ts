import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { defineConfig, loadConfig, maskedConfig, resolveConfig } from '../config.js'

const load = async (): Promise<readonly unknown[]> => []
const key = 'a'.repeat(64)

describe('caches in the configuration', () => {
  it('pass through with their functions', () => {
    const tags = () => ['x']
    const file = defineConfig({ caches: { messages: { template: 'chat:{id}', options: { ttl: '15m', load, tags } } } })
    const { caches } = resolveConfig({ env: {}, file })
    expect(caches['messages']).toMatchObject({ template: 'chat:{id}', options: { load, tags } })
    expect(resolveConfig({ env: {} }).caches).toEqual({})
  })

  it('come out of a TypeScript file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-caches-'))
    try {
      const content = `import { cached, defineConfig } from 'tidemark'
        export default defineConfig({ caches: { item: cached('item:{id}', { ttl: 1000, load: async ({ id }) => [id] }) }, cache: { prefix: 'dev:' } })`
      await writeFile(join(folder, 'tidemark.config.ts'), content)
      const config = await loadConfig({ cwd: folder, env: {} })
      expect(config.caches['item']?.template).toBe('item:{id}')
      expect(config.cache).toMatchObject({ prefix: 'dev:', waitMs: 500, sampleEveryMs: 1000 })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it.each([
    [5, 'not an object of entries'],
    [{ 'a b': { template: 'x', options: { load } } }, 'the name "a b"'],
    [{ item: { template: 'x' } }, 'the entry "item" was not made by cached'],
    [{ item: { template: 'x', options: { ttl: 1 } } }, 'the entry "item" was not made by cached'],
    ['text', 'cannot be read'],
  ])('refuses %j', (caches, reason) => {
    expect(() => resolveConfig({ env: {}, file: { caches } })).toThrow(
      expect.objectContaining({ code: 'TM_CONFIG_BAD_VALUE', message: expect.stringContaining(reason) }),
    )
  })
})

describe('the keys that encrypt', () => {
  it('come from one variable, and are shown nowhere', () => {
    const config = resolveConfig({ env: { TIDEMARK_CACHE_ENCRYPTION_KEYS: `k1=${key}` } })
    expect(config.cache).toMatchObject({ encryptionKeys: { k1: key }, encryptionKey: 'k1' })
    expect(JSON.stringify(maskedConfig(config))).not.toContain('aaaaa')
  })

  it('keep the signs that base64 ends with, and name the one that counts', () => {
    const base64 = Buffer.alloc(32, 7).toString('base64')
    const env = { TIDEMARK_CACHE_ENCRYPTION_KEYS: `old=${key},new=${base64}` }
    expect(() => resolveConfig({ env })).toThrow(expect.objectContaining({ code: 'TM_CONFIG_MISSING' }))
    const { cache } = resolveConfig({ env: { ...env, TIDEMARK_CACHE_ENCRYPTION_KEY: 'new' } })
    expect(cache).toMatchObject({ encryptionKeys: { old: key, new: base64 }, encryptionKey: 'new' })
  })

  it.each([key, `=${key}`, 'k1=', `a b=${key}`])('refuses text that is no list of them, without repeating it', (text) => {
    const attempt = () => resolveConfig({ env: { TIDEMARK_CACHE_ENCRYPTION_KEYS: text } })
    expect(attempt).toThrow(expect.objectContaining({ code: 'TM_CONFIG_BAD_VALUE' }))
    expect(attempt).not.toThrow(/a{8}/)
  })
})
