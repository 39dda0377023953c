import { describe, expect, it } from 'vitest'
import { anchorsOf, cell, linksOf, table } from './markdown.ts'

describe('Markdown', () => {
  it('escapes what would end a cell or begin a tag, and leaves code as it is', () => {
    expect(cell('a | b\nc <x> `tidemark move <file>`')).toBe('a \\| b c &lt;x> `tidemark move <file>`')
    expect(table(['a', 'b'], [['1', '2']])).toBe('| a | b |\n| --- | --- |\n| 1 | 2 |')
  })

  it('finds links, images and references, but not those in code', () => {
    const page = '[a](x.md#y) ![b](i.png "title") [c]( <d.md> )\n\n[ref]: z.md\n\n`[no](no.md)`\n\n```\n[no](no.md)\n```\n'
    expect(linksOf(page)).toEqual(['x.md#y', 'i.png', 'd.md', 'z.md'])
  })

  it('makes the anchors of headings as GitHub does', () => {
    const page = '# A `code` & more\n\n## Twice\n\n## Twice\n\n### [Linked](x.md) one ###\n\n```sh\n# comment\n```\n'
    expect([...anchorsOf(page)]).toEqual(['a-code--more', 'twice', 'twice-1', 'linked-one'])
  })
})
