import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { generate, main } from './generate.js'

const folder = mkdtempSync(join(tmpdir(), 'yarns-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a made-up file of yarns', () => {
  const made = (name: string, seed: number) => {
    const path = join(folder, name)
    return { ...generate(path, { seed, sessions: 60 }), bytes: readFileSync(path) }
  }

  it('is the same for the same seed, and has each flaw', () => {
    const [one, same, other] = [made('one.db', 1), made('same.db', 1), made('other.db', 2)]
    expect(same.bytes.equals(one.bytes)).toBe(true)
    expect(other.bytes.equals(one.bytes)).toBe(false)
    expect(one.flaws).toEqual({ orphanMessages: 2, brokenEvents: 2, brokenSummaries: 1 })
  })

  it('is written by a command, which overwrites nothing', () => {
    const [said, complained] = [
      vi.spyOn(process.stdout, 'write').mockReturnValue(true),
      vi.spyOn(process.stderr, 'write').mockReturnValue(true),
    ]
    const path = join(folder, 'command.db')
    expect(main([path, '--sessions', '5'])).toBe(0)
    expect(said.mock.calls.join()).toContain('5 sessions')
    for (const wrong of [[path], [], [join(folder, 'x.db'), '--sessions', '2'], [join(folder, 'x.db'), '--seed', 'x']])
      expect(main(wrong)).toBe(2)
    expect(complained).toHaveBeenCalledTimes(4)
    vi.restoreAllMocks()
  })
})
