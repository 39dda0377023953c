import type { Random } from '../measuring/random.ts'

/** A value as better-sqlite3 binds it. */
export type BenchValue = string | number | Buffer | null

const words = [
  'tide',
  'harbour',
  'lantern',
  'orchard',
  'quarry',
  'meadow',
  'copper',
  'saddle',
  'violet',
  'winter',
  'ember',
  'gravel',
]
const givenNames = ['Amara', 'Björn', 'Chloé', 'Dimitri', 'Elena', 'Farid', 'Grace', 'Håkon', 'Ines', 'Jun', 'Kwame', 'Łucja']
const familyNames = [
  'Abbott',
  'Brandt',
  "D'Arcy",
  'Eriksen',
  'Fischer',
  'Garcia',
  'Haddad',
  'Ito',
  'Jansen',
  'Kowalski',
  'Müller',
]
const cities = [
  'Adelaide',
  'Bergen',
  'Córdoba',
  'Darwin',
  'Essen',
  'Fremantle',
  'Göteborg',
  'Hobart',
  'Innsbruck',
  '京都',
  'Łódź',
]
const countries = ['Australia', 'Norway', 'Argentina', 'Germany', 'Sweden', 'Austria', 'Japan', 'Poland']
const statuses = ['new', 'paid', 'packed', 'shipped', 'delivered', 'returned']
const mediaTypes = ['application/pdf', 'image/png', 'application/octet-stream']
/** What CSV has to quote. */
const remarks = ['leave at the door', 'fragile, "this way up"', 'call first\nthen ring twice', 'c/o the neighbour, flat 4', '']

const startMs = Date.UTC(2019, 0, 1)
const spanSeconds = 6 * 365 * 24 * 3600
const daySeconds = 24 * 3600

const momentAt = (seconds: number): string => new Date(startMs + seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')
const dateAt = (seconds: number): string => momentAt(seconds).slice(0, 10)
const cents = (random: Random, limit: number): number => random.integer(limit) / 100
/** Sixteenths: every tool writes them alike, however few digits it keeps of a real. */
const sixteenths = (random: Random, limit: number): number => random.integer(limit) / 16

const customerCode = (index: number): string => `C-${(index * 7919 + 100_003).toString(36).toUpperCase().padStart(7, '0')}`
const fullName = (random: Random): string => `${random.pick(givenNames)} ${random.pick(familyNames)}`

/** How many rows each table has; the children point at those that exist. */
export type Counts = ReadonlyMap<string, number>

type RowMaker = (index: number, random: Random, counts: Counts) => readonly BenchValue[]

const customer: RowMaker = (index, random) => [
  customerCode(index),
  fullName(random),
  `${random.pick(words)}.${index}@example.com`,
  random.pick(countries),
  random.integer(8) === 0 ? 0 : 1,
  momentAt(random.integer(spanSeconds)),
]

const product: RowMaker = (index, random) => [
  index + 1,
  `SKU-${String(index + 1).padStart(7, '0')}`,
  `${random.pick(words)} ${random.pick(words)} ${random.integer(100)}`,
  cents(random, 50_000),
  sixteenths(random, 4_000),
]

const order: RowMaker = (index, random, counts) => {
  const orderedAt = random.integer(spanSeconds)
  const isShipped = random.integer(4) > 0
  return [
    index + 1,
    customerCode(random.integer(counts.get('customers')!)),
    random.pick(statuses),
    momentAt(orderedAt),
    isShipped ? momentAt(orderedAt + random.integer(10 * daySeconds)) : null,
    dateAt(orderedAt + 14 * daySeconds),
    cents(random, 10_000_000),
    cents(random, 20_000),
    sixteenths(random, 100_000),
    1 + random.integer(9),
    fullName(random),
    random.pick(cities),
    random.pick(countries),
    random.integer(3) === 0 ? random.pick(remarks) : null,
  ]
}

/** The orders share the lines evenly, and each counts its own from 1. */
const orderLine: RowMaker = (index, random, counts) => {
  const [orders, lines] = [counts.get('orders')!, counts.get('order_lines')!]
  const at = Math.floor((index * orders) / lines)
  const first = Math.ceil((at * lines) / orders)
  return [at + 1, index - first + 1, 1 + random.integer(counts.get('products')!), 1 + random.integer(20), cents(random, 50_000)]
}

const document: RowMaker = (index, random, counts) => [
  index + 1,
  1 + random.integer(counts.get('orders')!),
  random.pick(mediaTypes),
  random.bytes(512 + random.integer(2_560)),
]

const makers: Readonly<Record<string, RowMaker>> = {
  customers: customer,
  products: product,
  orders: order,
  order_lines: orderLine,
  documents: document,
}

/** The rows of one table, in the order of its columns. */
export function* rowsOf(table: string, random: Random, counts: Counts): Generator<readonly BenchValue[]> {
  const make = makers[table]
  if (make === undefined) throw new Error(`nothing makes rows of ${table}`)
  for (let index = 0; index < counts.get(table)!; index++) yield make(index, random, counts)
}
