import { describe, expect, it } from 'vitest'
import { parseLogic, parseOperation, parseOperationOrValue } from './conditions.js'
import { parseOrder } from './order.js'
import { parseLogicPath, parseNames, parseTreePath } from './paths.js'
import { parseSelect } from './select.js'

const field = (column: string, ...path: (readonly ['->' | '->>', string | number])[]) => ({
  column,
  path: path.map(([arrow, key]) => ({ arrow, key })),
})
const column = (name: string, more: object = {}) => ({
  kind: 'column',
  field: field(name),
  alias: undefined,
  cast: undefined,
  aggregate: undefined,
  aggregateCast: undefined,
  ...more,
})
const embed = (relation: string, select: readonly object[], more: object = {}) => ({
  kind: 'embed',
  relation,
  alias: undefined,
  hint: undefined,
  join: undefined,
  spread: false,
  read: { select, where: [], order: [], limit: undefined, offset: undefined },
  ...more,
})
const all = { kind: 'all' }

describe('select', () => {
  it.each<[string, object[]]>([
    ['*', [all]],
    ['', []],
    [' *, id ', [all, column('id')]],
    ['id', [column('id')]],
    ['a:id', [column('id', { alias: 'a' })]],
    ['id::text', [column('id', { cast: 'text' })]],
    ['id::double precision', [column('id', { cast: 'double precision' })]],
    ['no leading or trailing ', [column('no leading or trailing')]],
    ['with-dash,$,123,_', [column('with-dash'), column('$'), column('123'), column('_')]],
    ['"a,b)\\"\\\\ ->"', [column('a,b)"\\ ->')]],
    ['"*"', [column('*')]],
    ['größe,日本語', [column('größe'), column('日本語')]],
    ['data->a', [column('data', { field: field('data', ['->', 'a']) })]],
    ['data->0,x', [column('data', { field: field('data', ['->', 0]) }), column('x')]],
    ['data->-1->>b', [column('data', { field: field('data', ['->', -1], ['->>', 'b']) })]],
    ['data->0x', [column('data', { field: field('data', ['->', '0x']) })]],
    [
      'data->0->0xy1->1->23-xy-45->1->xy-6->>0::int',
      [
        column('data', {
          field: field('data', ['->', 0], ['->', '0xy1'], ['->', 1], ['->', '23-xy-45'], ['->', 1], ['->', 'xy-6'], ['->>', 0]),
          cast: 'int',
        }),
      ],
    ],
    ['data->>"a.b"', [column('data', { field: field('data', ['->>', 'a.b']) })]],
    ['data->!@#$%^&*_a::c', [column('data', { field: field('data', ['->', '!@#$%^&*_a']), cast: 'c' })]],
    ['x:data->>a-b::int', [column('data', { field: field('data', ['->>', 'a-b']), cast: 'int', alias: 'x' })]],
    ['price.sum()', [column('price', { aggregate: 'sum' })]],
    ['p:price::int.avg()::text', [column('price', { alias: 'p', cast: 'int', aggregate: 'avg', aggregateCast: 'text' })]],
    ['price.max(),price.min(),price.count()', ['max', 'min', 'count'].map((aggregate) => column('price', { aggregate }))],
    ['data->a.sum()', [column('data', { field: field('data', ['->', 'a']), aggregate: 'sum' })]],
    ['count()', [{ kind: 'count', alias: undefined, cast: undefined }]],
    ['n:count()::int', [{ kind: 'count', alias: 'n', cast: 'int' }]],
    ['count', [column('count')]],
    ['rel(*)', [embed('rel', [all])]],
    ['rel()', [embed('rel', [])]],
    ['a:rel(id,b:sub(*))', [embed('rel', [column('id'), embed('sub', [all], { alias: 'b' })], { alias: 'a' })]],
    ['rel!hint(*)', [embed('rel', [all], { hint: 'hint' })]],
    ['rel!inner(*)', [embed('rel', [all], { join: 'inner' })]],
    ['rel!left(*)', [embed('rel', [all], { join: 'left' })]],
    ['rel!hint!inner(*)', [embed('rel', [all], { hint: 'hint', join: 'inner' })]],
    ['a:rel!inner!hint(*)', [embed('rel', [all], { hint: 'hint', join: 'inner', alias: 'a' })]],
    [
      'rel!inner_fk(*),rel!leftover!left(*)',
      [embed('rel', [all], { hint: 'inner_fk' }), embed('rel', [all], { hint: 'leftover', join: 'left' })],
    ],
    ['...rel(*)', [embed('rel', [all], { spread: true })]],
    ['...rel!hint!inner(id)', [embed('rel', [column('id')], { spread: true, hint: 'hint', join: 'inner' })]],
    ['"a b"!"c(d"( id )', [embed('a b', [column('id')], { hint: 'c(d' })]],
    ['rel(data->0)', [embed('rel', [column('data', { field: field('data', ['->', 0]) })])]],
    ['id)rubbish', [column('id')]],
  ])('%s', (text, items) => {
    expect(parseSelect(text)).toEqual(items)
  })
})

describe('an operation', () => {
  it.each<[string, object]>([
    ['eq.5', { operator: 'eq', value: '5' }],
    ['eq.', { operator: 'eq', value: '' }],
    ['eq."a"', { operator: 'eq', value: '"a"' }],
    ['neq.a.b,c)', { operator: 'neq', value: 'a.b,c)' }],
    ['gt.1', { operator: 'gt', value: '1' }],
    ['gte.1', { operator: 'gte', value: '1' }],
    ['lt.1', { operator: 'lt', value: '1' }],
    ['lte.1', { operator: 'lte', value: '1' }],
    ['like.*a%', { operator: 'like', value: '%a%' }],
    ['ilike(any).{a*,*b}', { operator: 'ilike', quantifier: 'any', value: '{a%,%b}' }],
    ['match.^a*', { operator: 'match', value: '^a*' }],
    ['imatch(all).{a*}', { operator: 'imatch', quantifier: 'all', value: '{a*}' }],
    ['eq(any).{1,2}', { operator: 'eq', quantifier: 'any', value: '{1,2}' }],
    ...['cs', 'cd', 'ov', 'sl', 'sr', 'nxl', 'nxr', 'adj', 'isdistinct'].map((operator): [string, object] => [
      `${operator}.[1,2)`,
      { operator, value: '[1,2)' },
    ]),
    ['fts.a b', { operator: 'fts', configuration: undefined, value: 'a b' }],
    ['plfts(german).x', { operator: 'plfts', configuration: 'german', value: 'x' }],
    ['wfts(simple).x', { operator: 'wfts', configuration: 'simple', value: 'x' }],
    ['in.(1,2)', { operator: 'in', values: ['1', '2'] }],
    ['in.()', { operator: 'in', values: [] }],
    ['in.("")', { operator: 'in', values: [''] }],
    ['in.( 1, 2 )', { operator: 'in', values: ['1', ' 2 '] }],
    ['in.("a,b","c\\"d\\\\","e"f,(g)', { operator: 'in', values: ['a,b', 'c"d\\', '"e"f', '(g'] }],
    ['in.(    )', { operator: 'in', values: [] }],
    ['in.( ,3,4)', { operator: 'in', values: ['', '3', '4'] }],
    ['in.(")', { operator: 'in', values: ['"'] }],
    ['in.(\\)', { operator: 'in', values: ['\\'] }],
    ['in.("D\\a\\vid W\\h\\ite")', { operator: 'in', values: ['David White'] }],
    ['in.(,)', { operator: 'in', values: ['', ''] }],
    ['is.null', { operator: 'is', value: 'null' }],
    ['is.not_null', { operator: 'is', value: 'not_null' }],
    ['is.TRUE', { operator: 'is', value: 'true' }],
    ['is.FAlSe', { operator: 'is', value: 'false' }],
    ['is.unknown', { operator: 'is', value: 'unknown' }],
  ])('%s', (text, test) => {
    expect(parseOperation(text)).toEqual({ negated: false, test })
    expect(parseOperation(`not.${text}`)).toEqual({ negated: true, test })
    expect(parseOperationOrValue(text)).toEqual({ negated: false, test })
  })

  it.each(['hello', '', '5', 'eq', 'nothing.x', 'notice', 'eqx.5', '{"a":1}', 'fts(', 'eq(some).x'])(
    'is none in the argument %j',
    (text) => {
      expect(parseOperationOrValue(text)).toBeUndefined()
    },
  )

  it.each(['not.x', 'in.x', 'is.x', 'not.'])('is a broken one in the argument %j', (text) => {
    expect(() => parseOperationOrValue(text)).toThrow('failed to parse filter')
  })
})

describe('a group', () => {
  const filter = (name: string, operator: string, value: string, negated = false) => ({
    kind: 'filter',
    field: field(name),
    negated,
    test: { operator, value },
  })
  const group = (kind: 'and' | 'or', conditions: readonly object[], negated = false) => ({ kind, negated, conditions })

  it.each<[string, string, object]>([
    ['or', '(id.eq.1,id.eq.2)', group('or', [filter('id', 'eq', '1'), filter('id', 'eq', '2')])],
    ['not.and', '(a.eq.1)', group('and', [filter('a', 'eq', '1')], true)],
    [
      'or',
      '(a.not.eq.1,not.and(b.lt.2,c.gt.3))',
      group('or', [filter('a', 'eq', '1', true), group('and', [filter('b', 'lt', '2'), filter('c', 'gt', '3')], true)]),
    ],
    [
      'and',
      '( and ( id.in.( 1, 2, 3 ) , id.eq.3 ) , or ( id.eq.2 , id.eq.3 ) )',
      group('and', [
        group('and', [
          { kind: 'filter', field: field('id'), negated: false, test: { operator: 'in', values: ['1', ' 2', ' 3 '] } },
          filter('id', 'eq', '3 '),
        ]),
        group('or', [filter('id', 'eq', '2 '), filter('id', 'eq', '3 ')]),
      ]),
    ],
    ['or', '(a.eq."x,y)",b.like."*z")', group('or', [filter('a', 'eq', 'x,y)'), filter('b', 'like', '%z')])],
    ['or', '(a.cs.{1,2},b.eq."{")', group('or', [filter('a', 'cs', '{1,2}'), filter('b', 'eq', '{')])],
    ['or', '(a.eq."x"y,b.eq.)', group('or', [filter('a', 'eq', '"x"y'), filter('b', 'eq', '')])],
    ['or', '(data->>a.eq.1)', group('or', [{ ...filter('data', 'eq', '1'), field: field('data', ['->>', 'a']) }])],
    ['or', '(data->0.eq.1)', group('or', [{ ...filter('data', 'eq', '1'), field: field('data', ['->', 0]) }])],
    [
      'or',
      '(or.eq.1,not.eq.2,and.eq.3)',
      group('or', [filter('or', 'eq', '1'), filter('not', 'eq', '2'), filter('and', 'eq', '3')]),
    ],
    ['or', '(a.is.null )', group('or', [{ ...filter('a', '', ''), test: { operator: 'is', value: 'null' } }])],
    ['and', '(id.eq.1,id.neq.2))', group('and', [filter('id', 'eq', '1'), filter('id', 'neq', '2')])],
    ['and', '.eq.5', filter('and', 'eq', '5')],
  ])('%s=%s', (operator, text, condition) => {
    expect(parseLogic(operator, text)).toEqual(condition)
  })
})

describe('order', () => {
  const term = (name: string, direction?: string, nulls?: string, relation?: string) => ({
    relation,
    field: field(name),
    direction,
    nulls,
  })
  it.each<[string, object[]]>([
    ['name', [term('name')]],
    ['name.desc.nullsfirst, id.asc', [term('name', 'desc', 'first'), term('id', 'asc')]],
    ['id.nullslast', [term('id', undefined, 'last')]],
    ['data->k.asc.nullslast', [{ ...term('x', 'asc', 'last'), field: field('data', ['->', 'k']) }]],
    ['data->0.desc', [{ ...term('x', 'desc'), field: field('data', ['->', 0]) }]],
    ['name,clients(name),id', [term('name'), term('name', undefined, undefined, 'clients'), term('id')]],
    ['clients(data->!@_a).desc.nullsfirst', [{ ...term('x', 'desc', 'first', 'clients'), field: field('data', ['->', '!@_a']) }]],
    ['"a.desc".desc', [term('a.desc', 'desc')]],
  ])('%s', (text, terms) => {
    expect(parseOrder(text)).toEqual(terms)
  })
})

describe('the name of a parameter', () => {
  it.each<[string, string[], object]>([
    ['id', [], field('id')],
    ['a.b.c', ['a', 'b'], field('c')],
    ['"a.b".c', ['a.b'], field('c')],
    ['a.data->x->>y', ['a'], field('data', ['->', 'x'], ['->>', 'y'])],
    ['data->@type', [], field('data', ['->', '@type'])],
    ['id;drop', [], field('id')],
  ])('%s', (text, embeds, place) => {
    expect(parseTreePath(text)).toEqual({ embeds, field: place })
  })

  it('of a group has its `not` somewhere', () => {
    expect(parseLogicPath('or')).toEqual({ embeds: [], operator: 'or' })
    expect(parseLogicPath('a.b.not.and')).toEqual({ embeds: ['a', 'b'], operator: 'not.and' })
    expect(parseLogicPath('not.a.or')).toEqual({ embeds: ['a'], operator: 'not.or' })
  })

  it('in a list comes once', () => {
    expect(parseNames('columns', '"a","b , c", d,a')).toEqual(['a', 'b , c', 'd'])
  })
})
