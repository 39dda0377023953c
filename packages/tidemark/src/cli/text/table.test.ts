import { expect, test } from 'vitest'
import { schemaNamed } from '../commands/sample.js'
import { table } from './table.js'

test('columns are as wide as their longest entry, numbers to the right', () => {
  expect(
    table(
      ['table', 'rows'],
      [
        ['Track', 3503],
        ['A', 7],
      ],
    ),
  ).toBe('table   rows\nTrack  3,503\nA          7')
  expect(table(['a', 'b'], [])).toBe('a  b')
})

test('a schema is named after its file, as Postgres needs no quotes for', () => {
  expect(schemaNamed('/x/My Data-2.db')).toBe('my_data_2')
  expect(schemaNamed('2024.sqlite')).toBe('sample_2024')
  expect(schemaNamed('...')).toMatch(/^sample_/)
})
