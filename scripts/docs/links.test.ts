import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { brokenLinks, pagesOf, unreachedPages } from './links.ts'

describe('the check of links', () => {
  it('names each that leads nowhere, with its page', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-links-'))
    try {
      await mkdir(join(folder, 'docs'))
      await mkdir(join(folder, 'apps/one'), { recursive: true })
      await writeFile(
        join(folder, 'README.md'),
        '# Top\n[ok](docs/a.md#here) [self](#top) [gone](docs/b.md) [web](https://example.com)',
      )
      await writeFile(join(folder, 'docs/a.md'), '# Here\n[up](../README.md) [lost](../README.md#nowhere)')
      await writeFile(join(folder, 'apps/one/README.md'), '[x](../../docs/a.md) [y](missing/)')
      expect(brokenLinks(pagesOf(folder), folder)).toEqual([
        'README.md: the link docs/b.md leads nowhere.',
        'docs/a.md: the link ../README.md#nowhere names a heading that is not there.',
        'apps/one/README.md: the link missing/ leads nowhere.',
      ])
      expect(unreachedPages(pagesOf(folder), join(folder, 'README.md'), folder)).toEqual([
        'apps/one/README.md: no link of README.md, nor of what that leads to, leads here.',
      ])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
