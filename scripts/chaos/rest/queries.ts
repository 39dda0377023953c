/** Queries that speak of what there is, more often than not. */
import { between, type Dice, oneOf } from '../random.ts'
import { owners } from './schema.ts'
import { column, columns, mostly, name, plainValues, relations, types, word } from './words.ts'

/** What a relation has besides the columns that all have, and what leads on from it. */
interface Shape {
  readonly columns: readonly string[]
  readonly related: readonly string[]
}

const itemShape: Shape = {
  columns: ['id', 'maker_id', 'data', 'tags', 'label'],
  related: ['people!maker_id', 'maker_id', 'groups'],
}
const shapes: Readonly<Record<string, Shape>> = {
  people: {
    columns: [
      'id',
      'mood',
      'home',
      'tags',
      'data',
      'raw',
      'span',
      'born',
      'score',
      'odd "name',
      'at',
      'bytes',
      'flags',
      'during',
    ],
    related: ['items!maker_id', 'items!keeper_id', 'first_item', 'peers', 'cards', 'boss:people!boss_id', 'boss_id'],
  },
  items: {
    columns: [...itemShape.columns, 'price', 'code', 'numbers', 'words', 'double', 'keeper_id'],
    related: ['people!maker_id', 'people!keeper_id', 'maker_id', 'groups', 'item_groups', `"odd 'tab\\"le (x)"`],
  },
  groups: { columns: ['id'], related: ['items', 'item_groups'] },
  item_groups: { columns: ['item_id', 'group_id'], related: ['items', 'groups'] },
  cards: { columns: ['person_id'], related: ['people'] },
  shelves: { columns: ['id'], related: [] },
  my_items: { columns: ['id', 'maker_id', 'price', 'data', 'loud'], related: ['people', 'item_groups'] },
  guarded: itemShape,
  [`odd 'tab"le (x)`]: { columns: ['select', 'a.b', 'ä🐘', 'order', '$1', "it's ; --", 'item_id'], related: ['items'] },
}
export const shapeOf = (relation: string): Shape =>
  shapes[/^"?[^!"]+/.exec(relation.replace(/^\w+:/, ''))?.[0] ?? ''] ?? itemShape

/** Speaks of one relation. */
class Speaker {
  readonly #dice: Dice
  readonly #shape: Shape

  constructor(dice: Dice, shape: Shape) {
    this.#dice = dice
    this.#shape = shape
  }

  #column(): string {
    const dice = this.#dice
    if (dice() < 0.06) return mostly(dice, columns, 0.5)
    return oneOf(dice, dice() < 0.5 ? ['name', 'note', 'owner'] : this.#shape.columns)
  }

  #field(plain: string): string {
    const dice = this.#dice
    const inside = /^(data|raw|home)$/.test(plain) ? dice() < 0.6 : dice() < 0.02
    return name(plain) + (inside ? `${oneOf(dice, ['->', '->>'])}${name(mostly(dice, ['k', 'n', 'l', '0', 'city'], 0.7))}` : '')
  }

  #value(plain: string): string {
    const dice = this.#dice
    if (dice() < 0.15) return mostly(dice, plainValues, 0.5)
    if (/id$|order|double|score|price/.test(plain)) return oneOf(dice, ['1', '2', '11', '12', '21', '31', '0'])
    if (plain === 'owner') return oneOf(dice, [owners.ann.id, owners.bob.id, owners.nobody.id])
    if (/^(tags|numbers)$/.test(plain)) return oneOf(dice, ['{1,2}', '{}', '{1}'])
    if (/^(span)$/.test(plain)) return oneOf(dice, ['[1,5)', 'empty'])
    if (/^(data)$/.test(plain)) return oneOf(dice, ['{"n": 1}', '[]', 'null', '1'])
    if (/^(born|at)$/.test(plain)) return oneOf(dice, ['2000-01-01', 'now', '2020-01-01T00:00:00Z'])
    return dice() < 0.5 ? oneOf(dice, ['%', '*', 'x', 'of*', 'calm', 'a&b']) : word(dice)
  }

  /** The column, and what it is compared with. */
  filter(): readonly [string, string] {
    const dice = this.#dice
    const plain = this.#column()
    const not = dice() < 0.15 ? 'not.' : ''
    const kind = dice()
    const asked = () => this.#value(plain)
    const to = (text: string): readonly [string, string] => [this.#field(plain), `${not}${text}`]
    if (kind < 0.15) return to(`in.(${[asked(), asked()].map(name).join(',')})`)
    if (kind < 0.25) return to(`is.${mostly(dice, ['null', 'not_null'], 0.9)}`)
    if (/^(name|note|words)$/.test(plain) && kind < 0.4)
      return to(`${oneOf(dice, ['plfts', 'wfts', 'fts'])}${oneOf(dice, ['', '(english)', `(${word(dice)})`])}.${asked()}`)
    if (/^(tags|numbers|data|span)$/.test(plain)) return to(`${oneOf(dice, ['cs', 'cd', 'ov', 'eq', 'sl'])}.${asked()}`)
    if (/^(name|note|code)$/.test(plain) && kind < 0.7)
      return to(`${oneOf(dice, ['like', 'ilike', 'match', 'imatch'])}.${asked()}`)
    if (kind < 0.75) return to(`${oneOf(dice, ['eq', 'like'])}(any).{${asked()}}`)
    return to(`${oneOf(dice, ['eq', 'neq', 'gt', 'gte', 'lt', 'lte', 'isdistinct'])}.${asked()}`)
  }

  select(depth = 0): string {
    const dice = this.#dice
    return Array.from({ length: between(dice, 1, 3) }, () => {
      const kind = dice()
      const alias = dice() < 0.15 ? `${name(mostly(dice, ['x', 'y'], 0.5))}:` : ''
      if (kind < 0.2) return '*'
      if (kind < 0.45 && depth < 3) {
        const relation =
          dice() < 0.05 || this.#shape.related.length === 0
            ? name(mostly(dice, relations, 0.8))
            : oneOf(dice, this.#shape.related)
        const inner = dice() < 0.15 ? '!inner' : ''
        const before = dice() < 0.12 && !relation.includes(':') ? '...' : relation.includes(':') ? '' : alias
        return `${before}${relation}${inner}(${dice() < 0.04 ? '' : new Speaker(dice, shapeOf(relation)).select(depth + 1)})`
      }
      if (kind < 0.48) return `${alias}count()`
      const cast = dice() < 0.12 ? `::${mostly(dice, types)}` : ''
      if (kind < 0.53)
        return `${alias}${this.#field(this.#column())}.${oneOf(dice, ['max', 'min', 'count', 'sum', 'avg'])}()${cast}`
      return `${alias}${this.#field(this.#column())}${cast}`
    }).join(',')
  }

  term(): string {
    return `${this.#field(this.#column())}${oneOf(this.#dice, ['', '', '.desc', '.asc.nullsfirst', '.desc.nullslast'])}`
  }
}

/** Speaks of what there is, more often than not. */
export const plausible = (dice: Dice, relation: string): string => {
  const speaker = new Speaker(dice, shapeOf(relation))
  const parts: (readonly [string, string])[] = []
  if (dice() < 0.7) parts.push(['select', speaker.select()])
  for (let left = between(dice, 0, 2); left > 0; left--) parts.push(speaker.filter())
  if (dice() < 0.15) {
    const conditions = [speaker.filter(), speaker.filter()].map(([key, text]) => `${key}.${text}`)
    parts.push([oneOf(dice, ['or', 'and', 'not.or']), `(${conditions.join(',')})`])
  }
  if (dice() < 0.3) parts.push(['order', dice() < 0.03 ? `name.${word(dice)}` : speaker.term()])
  if (dice() < 0.2) parts.push(['limit', mostly(dice, ['1', '3', '0', '-1'], 0.9)])
  if (dice() < 0.08) parts.push(['offset', mostly(dice, ['1', '0', '500'], 0.9)])
  if (dice() < 0.05)
    parts.push([`${name(oneOf(dice, relations))}.${oneOf(dice, ['name', 'order', 'limit', 'id'])}`, speaker.filter()[1]])
  if (dice() < 0.06) parts.push(['columns', `${column(dice)},${column(dice)}`])
  if (dice() < 0.06) parts.push(['on_conflict', mostly(dice, ['id', 'code', 'item_id,group_id'], 0.8)])
  return parts.map(([key, text]) => `${encodeURIComponent(key)}=${encodeURIComponent(text)}`).join('&')
}
