import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { adminRowProblems } from './admin-rows.ts'
import { alertRowProblems } from './alert-rows.ts'
import { apiPage } from './api-page.ts'
import { commandProblems, missingCommands, sourceCommandProblems } from './commands.ts'
import { guaranteeProblems } from './guarantees.ts'

const problemsOf = (text: string, check = commandProblems): readonly string[] => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-pages-'))
  try {
    const page = join(folder, 'page.md')
    writeFileSync(page, text)
    writeFileSync(join(folder, 'package.json'), '{ "scripts": { "there": "true" } }')
    return check([page], folder).map((problem) => problem.replace('page.md:', ''))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

describe('what pages say of commands', () => {
  it('is held against the commands and options that there are, in blocks and in text', () => {
    expect(
      problemsOf(`Try \`tidemark move plan app.db\`, \`tidemark cache frob\`, \`tidemark status --show-key\`.

\`\`\`sh
A=b npx tidemark hooks replays --wat; tidemark doctor --json | jq .   # tidemark nothing
tidemark db psql -c "select --x"
tidemark dev -- npm start --any
tidemark move cutover app.db --max-pause 2s --database shop
\`\`\`
`).toSorted(),
    ).toEqual([
      '1 names the command tidemark cache frob, which is not there.',
      '1 names the option --show-key of tidemark status, which is not there.',
      '4 names the option --wat of tidemark hooks replays, which is not there.',
    ])
  })

  it('and so are scripts of npm, and paths of the checkout', () => {
    expect(problemsOf('`npm run there`, `npm run nowhere -- --x`, `scripts/none.ts`, `apps/example/`')).toEqual([
      '1 names the script nowhere of npm, which is not there.',
      '1 names the path scripts/none.ts, which is not there.',
    ])
  })

  it('and so are those that stand as text in sources, up to what is put into them', () => {
    const source = `
<Empty command="npx tidemark db psql --command 'select * from pg_locks'" />
const cli = \`npx tidemark cache evict --key \${shellWord(name)}\`
say('npx tidemark caches')
list(\`npx tidemark hooks list\${options} --limit 5 --most 5\`)
copy(\`npx tidemark feed tail\${tables === undefined ? '' : \` --nothing\`}\`)
say('npm start -w apps/none', 'A=b node apps/none/dist/main.js')`
    expect(problemsOf(source, sourceCommandProblems)).toEqual([
      '3 names the option --key of tidemark cache evict, which is not there.',
      '4 names the command tidemark caches, which is not there.',
      '5 names the option --most of tidemark hooks list, which is not there.',
      '7 names the script start of apps/none, which is not there.',
      '7 names the path apps/none/src/main.ts, which is not there.',
    ])
  })

  it('leaves no command out of the page of commands', () => {
    const missing = missingCommands('| `tidemark feed tail`, `lag`, `slots` | … |\n| `tidemark db url` | … |')
    expect(missing).toContain('docs/cli.md has no row for tidemark db psql.')
    expect(missing).not.toContain('docs/cli.md has no row for tidemark feed lag.')
    expect(missing).not.toContain('docs/cli.md has no row for tidemark db url.')
  })
})

it('R102: every alert has a row that says what to do, and every row is of an alert', () => {
  const page = '## Alerts and what to do\n\n| `a` | x |\n| `b`, `c` | x |\n| `b` | x |\n\n## Else\n\n| `d` | x |\n'
  expect(alertRowProblems(page, ['a', 'b', 'd'])).toEqual([
    'docs/operations.md has no row for the alert d.',
    'docs/operations.md has a row for c, which is no alert.',
    'docs/operations.md has two rows for b.',
  ])
})

it('no path of the admin API is left out of its page', () => {
  const page = '| `GET /a?x=`, `POST /a` | x |\n| `/b/c` | x |\n| `GET /jobs/:id` | x |\n'
  expect(adminRowProblems(page, "'GET /a': 1\n'POST /b/c': 1\n'GET /jobs/:id': 1\n'DELETE /b': 1\n'GET /b': 1\n")).toEqual([
    'docs/admin.md has no row for /b.',
  ])
})

it('every invariant has a section that names a test which holds it', () => {
  const page = '# Guarantees\n\n### AB-1 One\n\n`a.test.ts`\n\n### AB-2 Two\n\n`a.test.ts`\n\n### AB-9 Nine\n'
  const held = new Map([
    ['AB-1', [{ path: 'a.test.ts' }]],
    ['AB-2', [{ path: 'b.test.ts' }]],
  ])
  expect(guaranteeProblems(page, ['AB-1', 'AB-2', 'AB-3', 'R1'], held)).toEqual([
    'docs/guarantees.md names no test of AB-2 that holds it.',
    'docs/guarantees.md says nothing of AB-3.',
    'docs/guarantees.md has AB-9, which is no invariant.',
  ])
})

it('a page of exports has the form of each and the first sentence of its comment', () => {
  const page = apiPage({
    entry: 'tidemark/x',
    names: [
      { name: 'b', kind: 'type', form: '"x" | "y"', comment: '', source: 'packages/tidemark/src/b.ts' },
      {
        name: 'a',
        kind: 'value',
        form: '() => void',
        comment: 'Does {@link b}, e.g. so. Else not.',
        source: 'packages/tidemark/src/a.ts',
      },
    ],
  })
  expect(page).toContain('| [`a`](../../packages/tidemark/src/a.ts "a.ts") | `() => void` | Does `b`, e.g. so. |')
  expect(page).toContain('| [`b`](../../packages/tidemark/src/b.ts "b.ts") | `"x" \\| "y"` |  |')
})
