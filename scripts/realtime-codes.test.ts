import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { root } from './repository.ts'

const source = join(root, 'packages/tidemark/src/realtime/protocols/supabase')
const raised = /(?:new (?:JoinRefusal|RefusedToken)\(|#refuse\(message, )\s*'(\w+)'/g

it('every code by which a join is refused stands in the page', async () => {
  const files = (await readdir(source)).filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  const texts = await Promise.all(files.map((file) => readFile(join(source, file), 'utf8')))
  const codes = new Set(texts.flatMap((text) => [...text.matchAll(raised)].map(([, code]) => code!)))
  expect(codes.size).toBeGreaterThan(10)
  const page = await readFile(join(root, 'docs/realtime.md'), 'utf8')
  expect([...codes].filter((code) => !page.includes(`\`${code}\``))).toEqual([])
})
