import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { contentProblems } from './contents.ts'

it('names what a package lacks, what it should not have, and what it leans on and does not ask for', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-contents-'))
  const files: Record<string, string> = {
    'package.json': JSON.stringify({
      name: 'p',
      exports: { '.': { types: './dist/a.d.ts', default: './dist/a.js' }, './gone': './dist/gone.js' },
      dependencies: { untyped: '1' },
    }),
    'README.md': '',
    LICENSE: '',
    'dist/a.js': "import './b.js'\nimport other from 'other'\nconst text = \"import './no.js'\"\nexport * from './missing.js'\n",
    'dist/a.d.ts': "export type { T } from 'untyped'\nexport declare const a: import('./b.js').B\n",
    'dist/b.js': '',
    'dist/b.d.ts': '',
    'dist/b.js.map': '{"sources":["../src/b.ts"]}',
    'dist/b.test.js': '',
  }
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true })
      writeFileSync(join(folder, path), text)
    }
    expect(contentProblems(folder, Object.keys(files), () => false)).toEqual([
      'p: there is no CHANGELOG.md',
      'p: package.json names dist/gone.js, which is not in it',
      'p: dist/b.test.js is of no use to anybody who installs it',
      'p: dist/a.js imports ./missing.js, which is not in it',
      'p: dist/b.js.map maps to ../src/b.ts, which is not in it',
      'p: dist/a.js imports other, which it does not ask for',
      'p: dist/a.d.ts shows types of untyped, which nobody who installs it gets',
    ])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
