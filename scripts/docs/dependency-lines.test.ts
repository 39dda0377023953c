import { describe, expect, it } from 'vitest'
import { dependenciesOf, dependencyProblems, documentedDependencies } from './dependency-lines.ts'

describe('the check of docs/dependencies.md', () => {
  const page = '| Package | Why |\n| --- | --- |\n| `a` | x |\n| `b`, `@c/d` | y |\n'

  it('reads the packages of its tables', () => {
    expect(documentedDependencies(page)).toEqual(['a', 'b', '@c/d'])
  })

  it('wants one line for each package, and no other', () => {
    expect(dependencyProblems(page, ['a', 'b', '@c/d'])).toEqual([])
    expect(dependencyProblems(page, ['a', 'b', 'e'])).toEqual([
      'docs/dependencies.md has no line for e.',
      'docs/dependencies.md has a line for @c/d, which nothing asks for.',
    ])
    expect(dependencyProblems(`${page}| \`a\` | again |\n`, ['a', 'b', '@c/d'])).toEqual([
      'docs/dependencies.md has two lines for a.',
    ])
  })

  it('does not count our own workspaces', () => {
    const manifest = { dependencies: { tidemark: '*', pg: '8' }, peerDependencies: { ws: '>=8' } }
    expect(dependenciesOf(manifest, new Set(['tidemark']))).toEqual(['pg', 'ws'])
  })
})
