import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'

const dist = fileURLToPath(new URL('../dist/', import.meta.url))
const maxKilobytes = 200

const zipped = (file: string): number => gzipSync(readFileSync(`${dist}${file}`), { level: 9 }).length / 1024

describe.skipIf(!existsSync(`${dist}index.html`))('the size of a first load (npm run build makes it)', () => {
  const html = existsSync(`${dist}index.html`) ? readFileSync(`${dist}index.html`, 'utf8') : ''
  const shell = [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map(([, file]) => file!)
  const screens = JSON.parse(html === '' ? '{}' : readFileSync(`${dist}screens.json`, 'utf8')) as Record<
    string,
    readonly string[]
  >

  test('every screen has its files, and none is in the shell', () => {
    expect(Object.keys(screens).length).toBeGreaterThan(5)
    for (const files of Object.values(screens)) expect(files.filter((file) => shell.includes(file))).toEqual([])
  })

  test.each(Object.keys(screens))(`%s: page, shell and screen are at most ${maxKilobytes} KB, zipped`, (name) => {
    const size = ['index.html', ...shell, ...screens[name]!].reduce((sum, file) => sum + zipped(file), 0)
    expect(size).toBeGreaterThan(50)
    expect(size).toBeLessThanOrEqual(maxKilobytes)
  })
})
