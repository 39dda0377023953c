import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const screens = fileURLToPath(new URL('../screens/', import.meta.url))

test('all sheets are one in the end: no screen gives a look to a class that another one has', () => {
  const owners = new Map<string, Set<string>>()
  for (const path of readdirSync(screens, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.css')))
    for (const [, name = ''] of readFileSync(`${screens}${path}`, 'utf8').matchAll(/^\s*\.([\w-]+)/gm))
      owners.set(name, (owners.get(name) ?? new Set()).add(path.split('/')[0]!))
  expect(owners.size).toBeGreaterThan(20)
  expect([...owners].filter(([, screensOf]) => screensOf.size > 1)).toEqual([])
})
