import { describe, expect, it } from 'vitest'
import { sqlstateOf } from '../../postgres/postgres.js'
import { isRestError } from '../rest-error.js'
import { type AskOptions, useLibrary } from '../testing/use-library.js'

const { ask, prepare, sql } = useLibrary()

const mark = 'zqxj'

/** Texts that would end an identifier, a literal, a comment or a statement, or stand for a value of it. */
const corpus = [
  `${mark}'`,
  `${mark}"`,
  `${mark}''; drop table api.genres; --`,
  `${mark}"; drop table api.genres; --`,
  `${mark}') or ('1'='1`,
  `${mark}) union select code from api.secrets --`,
  `${mark}$1`,
  `$1${mark}`,
  `${mark}$$; drop table api.genres; $$`,
  `${mark}\\`,
  `${mark}\\'; drop table api.genres; --`,
  `${mark}/*`,
  `*/${mark}`,
  `${mark}--`,
  `${mark};`,
  `${mark}::text`,
  `${mark}\u0000`,
  `${mark}\u2019\uff07`,
  `${mark}\ud800`,
  `E'${mark}\\047`,
  `U&"${mark}\\0022"`,
  `pg_sleep(9)${mark}`,
  `current_setting('${mark}')`,
  `${mark},`,
  `${mark}.x`,
  `"${mark}"`,
  `'${mark}'`,
  `{${mark}}`,
  `(${mark})`,
  `%27${mark}`,
  '',
] as const

type Place = (text: string) => readonly [line: string, options?: AskOptions]

const enc = (text: string): string => encodeURIComponent(text.replace(/[\ud800-\udfff]/g, '?'))
/** As the grammar quotes a name or a value that holds its own signs. */
const quoted = (text: string): string => enc(`"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`)

const places: Readonly<Record<string, Place>> = {
  'a relation': (text) => [`GET /${enc(text) || mark}`],
  'a column': (text) => [`GET /books?select=id,${quoted(text)}`],
  'an alias': (text) => [`GET /books?select=${quoted(text)}:id`],
  'an alias of an embed': (text) => [`GET /books?select=id,${quoted(text)}:genres(name)`],
  'an alias in an embed': (text) => [`GET /books?select=id,genres(${quoted(text)}:name)`],
  'an alias in a spread embed': (text) => [`GET /books?select=id,...publishers(${quoted(text)}:name)`],
  'an alias of an aggregate': (text) => [`GET /books?select=${quoted(text)}:price.sum(),author_id`],
  'a cast': (text) => [`GET /books?select=id::${enc(text)}`],
  'a cast of an aggregate': (text) => [`GET /books?select=price.sum()::${enc(text)}`],
  'a JSON key': (text) => [`GET /authors?select=data->${quoted(text)}`],
  'a last JSON key': (text) => [`GET /authors?select=data->a->>${quoted(text)}`],
  'an embedded relation': (text) => [`GET /books?select=id,${quoted(text)}(id)`],
  'a hint': (text) => [`GET /books?select=id,authors!${quoted(text)}(id)`],
  'a filtered column': (text) => [`GET /books?${quoted(text)}=eq.1`],
  'a JSON key of a filter': (text) => [`GET /authors?data->>${quoted(text)}=eq.1`],
  'an embed of a filter': (text) => [`GET /books?select=id,genres(id)&${quoted(text)}.name=eq.1`],
  'a compared value': (text) => [`GET /books?title=eq.${enc(text)}`],
  'a pattern': (text) => [`GET /books?title=ilike.${enc(text)}`],
  'a regular expression': (text) => [`GET /books?title=match.${enc(text)}`],
  'an operator': (text) => [`GET /books?title=${enc(text)}.x`],
  'a list': (text) => [`GET /books?title=in.(${quoted(text)},x)`],
  'an unquoted list': (text) => [`GET /books?title=in.(${enc(text)})`],
  'a quantified value': (text) => [`GET /books?title=like(any).${enc(text)}`],
  'an array': (text) => [`GET /authors?tags=cs.${enc(text)}`],
  'a range': (text) => [`GET /books?pages=ov.${enc(text)}`],
  'a number': (text) => [`GET /books?id=gt.${enc(text)}`],
  is: (text) => [`GET /books?id=is.${enc(text)}`],
  'a text search': (text) => [`GET /books?title=wfts.${enc(text)}`],
  'a language': (text) => [`GET /books?title=fts(${enc(text)}).x`],
  'a column of a group': (text) => [`GET /books?or=(${quoted(text)}.eq.1,id.eq.2)`],
  'a value of a group': (text) => [`GET /books?or=(title.eq.${quoted(text)},id.eq.2)`],
  'an order': (text) => [`GET /books?order=${quoted(text)}`],
  'a direction': (text) => [`GET /books?order=id.${enc(text)}`],
  'a JSON key of an order': (text) => [`GET /authors?order=data->>${quoted(text)}`],
  'a related order': (text) => [`GET /books?select=id,publishers(name)&order=publishers(${quoted(text)})`],
  'the embed of a related order': (text) => [`GET /books?select=id,publishers(name)&order=${quoted(text)}(name)`],
  'a limit': (text) => [`GET /books?limit=${enc(text)}`],
  'an offset': (text) => [`GET /books?offset=${enc(text)}`],
  columns: (text) => [`POST /books?columns=title,${quoted(text)}`, { body: { title: 'x' } }],
  on_conflict: (text) => [
    `POST /words?on_conflict=${quoted(text)}`,
    { body: { id: 70 }, headers: { prefer: 'resolution=merge-duplicates' } },
  ],
  'a key of a body': (text) => ['POST /words', { body: { id: 71, [text]: 'x' } }],
  'a value of a body': (text) => ['POST /words?select=word', { body: { id: 72, word: text } }],
  'a value of an update': (text) => ['PATCH /words?id=eq.1', { body: { word: text } }],
  'a filter of an update': (text) => [`PATCH /words?word=eq.${enc(text)}`, { body: { word: 'x' } }],
  'a filter of a delete': (text) => [`DELETE /words?word=eq.${enc(text)}`],
  'a default': (text) => [
    'POST /words?columns=id,word',
    { body: [{ id: 73, word: text }], headers: { prefer: 'missing=default' } },
  ],
  'the key of a PUT': (text) => [`PUT /words?id=eq.${enc(text)}`, { body: { id: 74, word: 'x' } }],
  'a body that is none': (text) => ['POST /words', { body: Buffer.from(text) }],
  CSV: (text) => ['POST /words', { body: Buffer.from(`id,word\n75,${text}`), headers: { 'content-type': 'text/csv' } }],
  'a header of CSV': (text) => [
    'POST /words',
    { body: Buffer.from(`id,${text}\n75,x`), headers: { 'content-type': 'text/csv' } },
  ],
  'a function': (text) => [`POST /rpc/${enc(text)}`, { body: {} }],
  'the name of an argument': (text) => [`GET /rpc/add?a=1&${quoted(text)}=1`],
  'an argument': (text) => [`GET /rpc/echo_types?i=1&t=${enc(text)}&j={}&d=2024-01-01&l={}&m=sad`],
  'a number as an argument': (text) => [`GET /rpc/add?a=${enc(text)}`],
  'a list of arguments': (text) => [`GET /rpc/total?numbers=1&numbers=${enc(text)}`],
  'an argument of a body': (text) => [
    'POST /rpc/echo_types',
    { body: { i: 1, t: text, j: text, d: '2024-01-01', l: [], m: 'sad' } },
  ],
  'a whole body': (text) => ['POST /rpc/echo_text', { body: Buffer.from(text), headers: { 'content-type': 'text/plain' } }],
  'a profile': (text) => ['GET /books', { headers: { 'accept-profile': text } }],
  'a preference': (text) => ['GET /books', { headers: { prefer: `count=${text}, timezone=${text}, handling=lenient` } }],
  'a media type': (text) => ['GET /books', { headers: { accept: `application/json, ${text}` } }],
  'the options of a plan': (text) => [
    'GET /books',
    { headers: { accept: `application/vnd.pgrst.plan+text; for="${text}"; options=${text}` } },
  ],
  'a header': (text) => ['GET /rpc/whoami', { headers: { 'x-test': text, [`x-${mark}`]: text } }],
  'a cookie': (text) => ['GET /rpc/whoami', { headers: { cookie: `c=${text}; ${text}=x` } }],
  'a claim': (text) => ['GET /rpc/whoami', { as: { role: 'authenticated', claims: { sub: text, [text]: text } } }],
  'a role': (text) => ['GET /rpc/whoami', { as: { role: text, claims: {} } }],
}

/** Postgres read the statement, and found the text at fault. */
const isBlamed = (error: unknown): boolean => {
  const state = sqlstateOf(error) ?? ''
  const isText = state === '42601' && /syntax error in ts(query|vector)/.test(String(error))
  return isText || /^(22...|23505|23502|42602|42883|42704|42804|42501|57014|42P18|42P17)$/.test(state)
}

const library = () =>
  sql('select (select count(*) from api.genres) g, (select count(*) from api.books) b, (select count(*) from api.words) w')

describe('what a caller writes', () => {
  it.each(Object.entries(places))('as %s never becomes SQL (SEC-1)', async (_place, place) => {
    const before = await library()
    for (const text of corpus) {
      const [line, options = {}] = place(text)
      const prefer = ['tx=rollback', options.headers?.['prefer']].filter(Boolean).join(', ')
      const all = { ...options, headers: { ...options.headers, ...(line.startsWith('GET') ? {} : { prefer }) } }
      try {
        const { statement } = prepare(line, all)
        for (const piece of statement.texts) {
          expect(piece.text).not.toContain(mark)
          expect(piece.text).not.toContain('drop table')
          expect(piece.text).not.toContain(';')
        }
        await ask(line, all)
      } catch (error) {
        expect(isRestError(error) || isBlamed(error), `${line} ${text}: ${String(error)}`).toBe(true)
      }
    }
    expect(await library()).toEqual(before)
  })
})

describe('names of the database that would break a statement', () => {
  const table = encodeURIComponent(`ev"il'; drop table api.genres; --`)
  const get = async (line: string, options?: AskOptions) => (await ask(line, options)).data

  it('are written so that they do not', async () => {
    expect(await get(`GET /${table}?order="i\\"d"`)).toEqual([
      { 'i"d': 1, $1: 'one', "a'b\\c": { "k'": { 'q"': 1 } }, 'up"per': null },
      { 'i"d': 2, $1: 'two', "a'b\\c": null, 'up"per': 1 },
    ])
    expect(await get(`GET /${table}?select="$1","a'b\\\\c"->"k'"->>"q\\"","comp\\"uted"&"i\\"d"=eq.1&order="$1".desc`)).toEqual([
      { $1: 'one', 'q"': '1', 'comp"uted': 'one' },
    ])
    expect(await get(`GET /${table}?select="$1",parent:"up\\"per"("$1")&"i\\"d"=eq.2`)).toEqual([
      { $1: 'two', parent: { $1: 'one' } },
    ])
    expect(await get('POST /rpc/f%22n%3B%20--', { body: { 'a"rg': 1 } })).toBe('1x')
    expect(await get('POST /rpc/f%22n%3B%20--', { body: { 'a"rg': 1, "b'": 'y' } })).toBe('1y')
    const prefer = 'tx=rollback, return=representation, missing=default'
    expect(
      await get(`POST /${table}?columns="i\\"d","$1","a'b\\\\c"&select="$1","a'b\\\\c"`, {
        body: [{ 'i"d': 9, "a'b\\c": 1 }],
        headers: { prefer },
      }),
    ).toEqual([{ $1: 'it\'s \\ "default"', "a'b\\c": 1 }])
    const merge = 'tx=rollback, return=representation, resolution=merge-duplicates'
    expect(await get(`POST /${table}?select="$1"`, { body: { 'i"d': 1, $1: 'new' }, headers: { prefer: merge } })).toEqual([
      { $1: 'new' },
    ])
    expect(
      (await ask(`POST /${table}`, { body: { 'i"d': 9 }, headers: { prefer: 'tx=rollback, return=headers-only' } })).result
        .location,
    ).toEqual([['i"d', '9']])
  })

  it('of types too', async () => {
    expect(await get(`GET /typed?select=id,kind&kind=eq.t'wo`)).toEqual([{ id: 1, kind: "t'wo" }])
    expect(
      await get('POST /typed?columns=id,kind', {
        body: { id: 2 },
        headers: { prefer: 'tx=rollback, return=representation, missing=default' },
      }),
    ).toEqual([{ id: 2, kind: 'o"ne' }])
  })
})
