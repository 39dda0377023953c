import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { transitions } from './live/states.js'

const read = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), 'utf8')

test('the list of the documentation is that of the sample, and has at most 20 lines', async () => {
  const sample = await read('../../../samples/live-list/src/notes.tsx')
  expect(await read('../../../docs/client.md')).toContain(`\`\`\`tsx\n${sample}\`\`\``)
  expect(sample.trimEnd().split('\n').length).toBeLessThanOrEqual(20)
})

test('the table of SPEC.md is that of the code', async () => {
  const [head = '', ...lines] = (await read('./live/SPEC.md'))
    .split('\n')
    .filter((line) => line.startsWith('|') && !line.startsWith('|--'))
  const cells = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
  const events = cells(head).slice(1)
  const drawn = Object.fromEntries(
    lines
      .map(cells)
      .map(([state = '', ...steps]) => [state, Object.fromEntries(steps.map((step, index) => [events[index], step]))]),
  )
  const stepOf = (from: string, to: string, effects: readonly string[]): string => {
    if (from === to) return effects.length === 0 ? '–' : effects.join(', ')
    return effects.length === 0 ? to : `${to}: ${effects.join(', ')}`
  }
  const coded = Object.entries(transitions).map(([from, byEvent]) => [
    from,
    Object.fromEntries(Object.entries(byEvent).map(([event, { to, effects }]) => [event, stepOf(from, to, effects)])),
  ])
  expect(drawn).toEqual(Object.fromEntries(coded))
})
