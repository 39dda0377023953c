import Sqlite from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { introspect } from '../../sqlite/introspect.js'
import type { SqliteView } from '../../sqlite/sqlite.js'
import { foldAscii } from '../../sqlite/tokenize.js'
import { useClient, useDatabase } from '../../testing/postgres/use-database.js'
import type { Conversion } from '../move.js'
import { qualifiedName, quoteIdentifier } from './identifiers.js'
import type { Relation } from './select/select-scope.js'
import { tableRelation } from './table-context.js'
import { translateView } from './translate-view.js'
import { isCarried } from './translation.js'

const format = { separator: ' ', seconds: true, fraction: 0, zone: 'none' } as const
const schema = 'shop "x"'

/** Columns by source name: target type and conversion. */
const tables: Readonly<Record<string, Readonly<Record<string, readonly [string, Conversion]>>>> = {
  Customers: { Id: ['bigint', { kind: 'integer' }], Name: ['text', { kind: 'text' }], City: ['text', { kind: 'text' }], Active: ['boolean', { kind: 'boolean', truthy: ['1'], falsy: ['0'] }], Email: ['text', { kind: 'text' }] },
  'Order Items': { OrderId: ['bigint', { kind: 'integer' }], Product: ['text', { kind: 'text' }], Price: ['numeric', { kind: 'numeric' }], Weight: ['double precision', { kind: 'real' }], Quantity: ['integer', { kind: 'integer' }] },
  Orders: { Id: ['bigint', { kind: 'integer' }], CustomerId: ['bigint', { kind: 'integer' }], Placed: ['timestamp without time zone', { kind: 'timestamp', format }], Paid: ['timestamp with time zone', { kind: 'epoch', unit: 'seconds' }], Note: ['json', { kind: 'json' }] },
} // biome-ignore format: a table

const sqliteDdl = `
  CREATE TABLE Customers(Id INTEGER PRIMARY KEY, Name TEXT, City TEXT, Active BOOLEAN, Email TEXT COLLATE NOCASE);
  CREATE TABLE Orders(Id INTEGER PRIMARY KEY, CustomerId INT, Placed DATETIME, Paid INTEGER, Note JSON);
  CREATE TABLE [Order Items](OrderId INT, Product TEXT, Price DECIMAL(10,2), Weight REAL, Quantity INT);
  INSERT INTO Customers VALUES (1,'Ann','Oslo',1,'A@x'),(2,'bob','Bergen',0,'b@x'),(3,'Çan',NULL,NULL,NULL),(4,'ann','Oslo',1,'a@X'),(5,'Zoë','oslo',1,'z@x');
  INSERT INTO Orders VALUES (1,1,'1997-01-01 00:00:00',1704067200,'{"a":1}'),(2,1,'1997-06-01 10:00:00',NULL,'{}'),(3,2,NULL,5,NULL),(4,9,'1998-12-31 00:00:00',6,NULL),(5,4,'1996-12-31 23:59:59',7,NULL);
  INSERT INTO "Order Items" VALUES (1,'tea',2.5,0.25,4),(1,'cup',10,1.5,1),(2,'tea',2.25,0.5,0),(3,'Pot',NULL,2.0,3),(4,'cup',9.75,NULL,2),(7,'tea',1,1.0,NULL);`

const database = useDatabase()
const client = useClient(database)
let sqlite: Sqlite.Database
let relations: Map<string, Relation>

/** Gives both systems the same tables and rows. */
beforeAll(async () => {
  sqlite = new Sqlite(':memory:')
  sqlite.exec(sqliteDdl)
  await client.query(`create schema ${quoteIdentifier(schema)}`)
  relations = new Map()
  for (const table of introspect(sqlite).tables) {
    const plans = Object.entries(tables[table.name] ?? {}).map(([source, [targetType, conversion]]) => ({
      source,
      target: `${source.toLowerCase()} 1`,
      targetType,
      conversion,
    }))
    const target = { schema, name: `the ${table.name}` }
    relations.set(foldAscii(table.name), tableRelation(table, plans, target))
    await client.query(
      `create table ${qualifiedName(target)} (${plans.map((plan) => `${quoteIdentifier(plan.target)} ${plan.targetType}`).join(', ')})`,
    )
    for (const row of sqlite.prepare(`SELECT * FROM "${table.name}"`).raw().all() as unknown[][]) {
      const values = row.map((value, i) => {
        const kind = plans[i]?.conversion.kind
        if (value === null) return null
        if (kind === 'boolean') return value === 1
        return kind === 'epoch' ? new Date(Number(value) * 1000).toISOString() : value
      })
      await client.query(`insert into ${qualifiedName(target)} values (${values.map((_, i) => `$${i + 1}`).join(', ')})`, values)
    }
  }
})

afterAll(() => {
  sqlite?.close()
})

const makeView = (select: string, name = 'v'): SqliteView => {
  sqlite.exec(`DROP VIEW IF EXISTS "${name}"`)
  sqlite.exec(`CREATE VIEW "${name}" AS ${select}`)
  return introspect(sqlite).views.find((view) => view.name === name)!
}

const translate = (view: SqliteView) => translateView(view, { view: { schema, name: `view ${view.name}` }, relations })

/** A value as SQLite would show it: moments as text or seconds, booleans as 1 and 0, numbers as numbers. */
const sqliteForm = (value: unknown, conversion: Conversion | undefined): unknown => {
  if (value === null || typeof value !== 'string') return value
  switch (conversion?.kind) {
    case 'boolean':
      return value === 't' ? 1 : 0
    case 'integer':
    case 'numeric':
      return Number(value)
    case 'real':
      return Math.round(Number(value) * 1e9) / 1e9
    case 'epoch':
      return Date.parse(`${value.replace(' ', 'T')}:00`) / 1000
    default:
      return value
  }
}

const rounded = (value: unknown): unknown => (typeof value === 'number' ? Math.round(value * 1e9) / 1e9 : value)

const compareRows = async (select: string, name = 'v'): Promise<void> => {
  const view = makeView(select, name)
  const translation = translate(view)
  if (!isCarried(translation)) throw new Error(`${translation.reason}\n${select}`)
  await client.query(`drop view if exists ${qualifiedName(translation.relation.target)} cascade`)
  await client.query(translation.sql)
  relations.set(foldAscii(name), translation.relation)
  const expected = (sqlite.prepare(`SELECT * FROM "${name}"`).raw().all() as unknown[][]).map((row) => row.map(rounded))
  const found = await client.query<unknown[]>({
    text: `select * from ${qualifiedName(translation.relation.target)}`,
    rowMode: 'array',
    types: { getTypeParser: () => (text: string) => text },
  } as never)
  const rows = found.rows.map((row) =>
    row.map((value, i) => rounded(sqliteForm(value, translation.relation.columns[i]?.column.conversion))),
  )
  const inOrder = /\bORDER BY\b(?![^(]*\))/i.test(select)
  const key = (list: unknown[][]) => (inOrder ? list : list.map((row) => JSON.stringify(row)).sort())
  expect(key(rows), translation.sql).toEqual(key(expected))
  expect(found.fields.map((field) => field.name)).toEqual(view.columns)
}

describe('views that are carried give the same rows', () => {
  const selects = [
    'SELECT * FROM Customers', 'SELECT c.*, Orders.Id AS OrderId FROM Customers c JOIN Orders ON Orders.CustomerId = c.Id', 'SELECT Name AS "full ""name", [City] FROM Customers', 'SELECT Customers.Name, customers.city FROM CUSTOMERS',
    'SELECT Name, Active FROM Customers WHERE Active = 1', 'SELECT Name FROM Customers WHERE Active', 'SELECT Name FROM Customers WHERE NOT Active OR City IS NULL', "SELECT Name, 'Customer' AS Kind, 5 AS n, NULL AS nil, 1.5 AS r FROM Customers",
    'SELECT Id, Active = 1 AS isActive, City IS NULL FROM Customers', 'SELECT upper(Name) AS up, length(City) AS len, Name || \'!\' AS loud FROM Customers',
    "SELECT Name FROM Customers WHERE Email = 'a@x'", "SELECT Name FROM Customers WHERE City LIKE 'o%'", 'SELECT Name FROM Customers WHERE City IN (\'Oslo\', \'Bergen\') AND Id BETWEEN 1 AND 4',
    'SELECT c.Name, o.Id FROM Customers c LEFT JOIN Orders o ON o.CustomerId = c.Id', 'SELECT c.Name, o.Id FROM Customers c LEFT OUTER JOIN Orders AS o ON (o.CustomerId = c.Id) WHERE o.Id IS NULL', 'SELECT c.Name, o.Id FROM Customers c, Orders o WHERE o.CustomerId = c.Id',
    'SELECT c.Id, o.Id FROM Customers c CROSS JOIN Orders o', 'SELECT a.Name, b.Name FROM Customers a, Customers b LEFT JOIN Orders o ON o.CustomerId = a.Id WHERE a.Id < b.Id', 'SELECT c.Name, o.Placed, i.Product FROM Customers c JOIN Orders o ON c.Id = o.CustomerId INNER JOIN "Order Items" i ON i.OrderId = o.Id',
    "SELECT Id, Placed FROM Orders WHERE Placed BETWEEN DATETIME('1997-01-01') AND DATETIME('1997-12-31')", "SELECT Id FROM Orders WHERE Placed >= '1997-01-01'", 'SELECT Id, Paid FROM Orders WHERE Paid > 5', 'SELECT Id, Placed, Paid, Note FROM Orders WHERE Note IS NOT NULL',
    'SELECT count(*) AS n, count(City) AS cities, count(DISTINCT City) AS different FROM Customers', 'SELECT sum(Quantity) AS q, avg(Quantity) AS a, min(Product) AS p, max(Product) AS m, total(Quantity) AS t, sum(Weight) AS w, sum(Price) AS s FROM "Order Items"',
    'SELECT OrderId, sum(Price * Quantity) AS total FROM "Order Items" GROUP BY OrderId', 'SELECT [Order Items].OrderID, Sum(([Order Items].Price*Quantity*(1-Weight)/100)*100) AS Subtotal FROM [Order Items] GROUP BY [Order Items].OrderID', 'SELECT Product, count(*) FROM "Order Items" GROUP BY Product HAVING count(*) > 1', 'SELECT Product AS p, max(Weight) AS w FROM "Order Items" GROUP BY p', 'SELECT Product, count(*) AS n FROM "Order Items" GROUP BY 1', 'SELECT upper(Product), sum(Quantity) + 1 FROM "Order Items" GROUP BY upper(Product)',
    'SELECT min(Placed) AS first, max(Paid) AS last FROM Orders', "SELECT CustomerId, group_concat(Id, '-') AS ids FROM Orders WHERE CustomerId <> 1 GROUP BY CustomerId", 'SELECT max(Active) AS a FROM Customers',
    'SELECT DISTINCT City FROM Customers', 'SELECT DISTINCT City FROM Customers ORDER BY City', 'SELECT Name FROM Customers ORDER BY Name', 'SELECT Name, City FROM Customers ORDER BY City DESC, Name', 'SELECT Name AS n FROM Customers ORDER BY n COLLATE NOCASE, Id', 'SELECT Name, Email FROM Customers ORDER BY Email, 1', 'SELECT Id FROM Orders ORDER BY Placed DESC LIMIT 2', 'SELECT Id, Paid FROM Orders ORDER BY 2, Id LIMIT 3 OFFSET 1', 'SELECT Name FROM Customers ORDER BY City NULLS LAST, Id', 'SELECT Product, sum(Quantity) AS q FROM "Order Items" GROUP BY Product ORDER BY sum(Quantity) DESC, Product',
    "SELECT City, Name, 'Customers' AS Relationship FROM Customers UNION SELECT Product, Product, 'Items' FROM \"Order Items\" ORDER BY City, Name", 'SELECT City FROM Customers UNION ALL SELECT Product FROM "Order Items"', 'SELECT Id FROM Customers EXCEPT SELECT CustomerId FROM Orders', 'SELECT Id FROM Customers INTERSECT SELECT CustomerId FROM Orders',
    'SELECT Product, Price FROM "Order Items" WHERE Weight > (SELECT avg(Weight) FROM "Order Items")', 'SELECT Name, (SELECT count(*) FROM Orders o WHERE o.CustomerId = c.Id) AS orders FROM Customers c', 'SELECT Name FROM Customers c WHERE EXISTS (SELECT 1 FROM Orders o WHERE o.CustomerId = c.Id AND o.Paid IS NOT NULL)', 'SELECT Name FROM Customers WHERE NOT EXISTS (SELECT 1 FROM Orders WHERE CustomerId = Customers.Id)', 'SELECT Name FROM Customers WHERE Id IN (SELECT CustomerId FROM Orders)',
    "SELECT Name, CASE WHEN Active THEN 'yes' ELSE 'no' END AS state FROM Customers", 'SELECT coalesce(City, Name) AS place FROM Customers', '/* note */ SELECT Id -- one\n FROM Orders;', 'SELECT 1 + 1 AS two', 'SELECT Id, Id, Name AS Id FROM Customers',
  ] // biome-ignore format: a list

  it.each(selects)('%s', async (select) => compareRows(select.replace(/;$/, '')))

  it('read other views', async () => {
    await compareRows(
      'SELECT OrderId, sum(Price * Quantity) AS Total, count(*) AS n FROM "Order Items" GROUP BY OrderId',
      'Order Totals',
    )
    await compareRows(
      'SELECT c.Name, t.Total FROM Customers c JOIN Orders o ON o.CustomerId = c.Id JOIN [order totals] t ON t.OrderId = o.Id WHERE t.n > 1',
      'over',
    )
    await compareRows('SELECT sum(Total) AS everything, max(Name) AS m FROM over', 'top')
  })

  it('with text in double quotes, which SQLite takes where it has to, keep their written names', async () => {
    const quoted = translate(makeView('SELECT "Customer" AS Kind, Name FROM Customers'))
    if (!isCarried(quoted)) throw new Error(quoted.reason)
    await client.query(quoted.sql.replace('"view v"', '"quoted"'))
    expect((await client.query(`select * from ${qualifiedName({ schema, name: 'quoted' })} limit 1`)).rows).toEqual([
      { Kind: 'Customer', Name: 'Ann' },
    ])
    expect(translate(makeView('SELECT "Customer" || Name FROM Customers'))).toMatchObject({
      reason: expect.stringContaining('no name'),
    })
    expect(translate(makeView('SELECT "x" AS a, Name AS A FROM Customers'))).toMatchObject({
      reason: expect.stringContaining('one name'),
    })
  })

  it('read with the rights of who asks', () => {
    expect(translate(makeView('SELECT Id FROM Customers'))).toMatchObject({
      sql: expect.stringContaining('WITH (security_invoker = true)'),
    })
  })
})

describe('views that are not carried, with the reason', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["SELECT (Name + ' ' + City) AS x FROM Customers", /\+ is applied to text/], ['SELECT Name, max(Id) FROM Customers', /neither grouped/], ['SELECT Product, Price FROM "Order Items" GROUP BY Product', /neither grouped/], ['SELECT *, count(*) FROM Customers', /grouping/],
    ['SELECT DISTINCT Email FROM Customers', /collation/], ['SELECT Email, count(*) FROM Customers GROUP BY Email', /collation/], ['SELECT max(Email) FROM Customers', /order/], ['SELECT DISTINCT Note FROM Orders', /grouped/],
    ['SELECT (SELECT Name FROM Customers) AS x', /several rows/], ['SELECT Name FROM Customers WHERE City IN (SELECT Id FROM Orders)', /another kind/], ['WITH c AS (SELECT 1 AS x) SELECT x FROM c', /not understood/], ['SELECT row_number() OVER (ORDER BY Id) FROM Customers', /window/], ['SELECT * FROM (SELECT Id FROM Customers)', /after FROM/],
    ['SELECT Id FROM Customers NATURAL JOIN Orders', /not understood/], ['SELECT c.Id FROM Customers c JOIN Orders USING (Id)', /not understood/], ["SELECT strftime('%Y', Placed) AS y FROM Orders", /strftime/], ["SELECT date('now') AS d", /date\(\)/], ['SELECT random() AS r', /random/], ['SELECT Id FROM Customers UNION SELECT Name FROM Customers', /different types/],
    ['SELECT json_extract(Note, \'$.a\') AS a FROM Orders', /JSON/], ['SELECT value FROM json_each(\'[1]\')', /after FROM/], ['SELECT Id AS x FROM Customers WHERE x > 1', /result column/], ['SELECT Id FROM Orders LIMIT 1 + 1', /computed/], ['SELECT CURRENT_TIMESTAMP AS t', /changes with time/], ['SELECT sum(Name) FROM Customers', /no number/], ['SELECT rowid FROM Customers', /no column rowid/], ['SELECT Id FROM Customers ORDER BY Id + 1 LIMIT -1', /./],
  ] // biome-ignore format: a list

  it.each(cases.slice(0, -1))('%s', (select, reason) => {
    const translation = translate(makeView(select))
    expect(isCarried(translation), JSON.stringify(translation)).toBe(false)
    expect(translation).toMatchObject({ reason: expect.stringMatching(reason), suggestion: expect.stringMatching(/./) })
  })

  it('names tables that stay behind or are gone', () => {
    sqlite.exec('CREATE TABLE left_behind(a)')
    expect(translate(makeView('SELECT a FROM left_behind'))).toMatchObject({ reason: expect.stringContaining('left_behind') })
    sqlite.exec('DROP TABLE left_behind')
    const broken = introspect(sqlite).views.find((view) => view.name === 'v')!
    expect(translate(broken)).toMatchObject({ reason: expect.stringContaining('left_behind') })
    sqlite.exec('DROP VIEW v')
  })
})
