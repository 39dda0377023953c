/** Bodies: rows that fit, rows that do not, and what is no JSON at all. */
import { between, type Dice, oneOf } from '../random.ts'
import { owners } from './schema.ts'
import { column, columns, mark, mostly, plainValues, word } from './words.ts'

export const value = (dice: Dice): string => mostly(dice, plainValues, 0.8)

const json = (dice: Dice, depth = 0): unknown => {
  const kind = dice()
  if (kind < 0.5) return value(dice)
  if (kind < 0.65) return between(dice, -5, 20)
  if (kind < 0.75) return oneOf(dice, [null, true, false, 1e300, 0.1, owners.ann.id, owners.bob.id])
  if (depth > 3) return null
  if (kind < 0.85) return Array.from({ length: between(dice, 0, 3) }, () => json(dice, depth + 1))
  return Object.fromEntries(
    Array.from({ length: between(dice, 0, 3) }, () => [mostly(dice, columns, 0.7), json(dice, depth + 1)]),
  )
}

export const fitting = (dice: Dice, key: string): unknown => {
  if (dice() < 0.2) return json(dice)
  if (/id$|order|^[abi]$|most/.test(key)) return between(dice, 1, 40)
  if (key === 'owner') return oneOf(dice, [owners.ann.id, owners.bob.id, null])
  if (/^(tags|numbers|l)$/.test(key)) return [1, 2]
  if (/^(name|note|t|kind|wanted)$/.test(key)) return word(dice)
  return oneOf(dice, [null, 1, '2020-01-01', '{}'])
}

const row = (dice: Dice, names: readonly string[]): unknown => {
  const keys = Array.from({ length: between(dice, 0, 4) }, () => mostly(dice, names, 0.98))
  return Object.fromEntries(keys.map((key) => [key, fitting(dice, key)]))
}

export const bodyText = (dice: Dice, names: readonly string[]): string => {
  const kind = dice()
  if (kind < 0.65) return JSON.stringify(row(dice, names))
  if (kind < 0.9) {
    const one = row(dice, names)
    return JSON.stringify([one, dice() < 0.7 ? one : row(dice, names)])
  }
  if (kind < 0.92) return JSON.stringify(json(dice))
  if (kind < 0.95) return `${column(dice)},${column(dice)}\n${value(dice)},${value(dice)}\n`
  return oneOf(dice, [
    '',
    '[',
    '{"name": "\\ud800"}',
    '{"a":',
    '[{}, 1]',
    '{"id":1,"id":2}',
    '\ufeff{}',
    `{"${mark}\\u0000": 1}`,
    '[[[[[[]]]]]]',
    '{"id":01}',
  ])
}
