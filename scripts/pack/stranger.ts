/** What somebody who installed the packages might write. */

/** Imports one entry, and a file that no entry names, which has to be refused. */
export const importScript = `
const entry = process.argv[2]
const names = Object.keys(await import(entry))
if (names.length === 0 && !entry.endsWith('/admin')) throw new Error(entry + ' exports nothing')
const name = entry.split('/').slice(0, entry.startsWith('@') ? 2 : 1).join('/')
const deep = await import(name + '/dist/index.js').then(() => 'let in', (error) => error.code)
if (deep !== 'ERR_PACKAGE_PATH_NOT_EXPORTED') throw new Error(name + '/dist/index.js: ' + deep)
`

const strict = {
  target: 'ES2023',
  lib: ['ES2023', 'DOM', 'DOM.Iterable'],
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  // The declarations of the packages are looked at as well, and so are those that they lean on.
  skipLibCheck: false,
  noEmit: true,
  jsx: 'react-jsx',
}

export const typeSettings = {
  bundler: { ...strict, module: 'ESNext', moduleResolution: 'bundler' },
  node16: { ...strict, module: 'node16', moduleResolution: 'node16' },
  nodenext: { ...strict, module: 'NodeNext', moduleResolution: 'NodeNext' },
}

/** Touches every entry, and holds that types which come from other packages are there and not `any`. */
export const typeUse = (entries: readonly string[]): string => `
${entries.map((entry, at) => `import * as entry${at} from '${entry}'`).join('\n')}
import { createTidemark, type LiveSnapshot } from '@tidemark/client'
import { useLiveQuery } from '@tidemark/client/react'
import { cached, type Client, type ConfigInput, createVerifier, defineConfig, isTidemarkError, openDatabase } from 'tidemark'
import { createAppServer, createInput, defineErrors } from 'tidemark/app'
import { openStore } from 'tidemark/store'
import { accessMatrix, createFakeClock } from 'tidemark/testing'

export const all = [${entries.map((_, at) => `entry${at}`).join(', ')}]

type IsAny<T> = 0 extends 1 & T ? true : false
/** A value whose type is not any. */
type Known<T> = IsAny<T> extends true ? never : T

export const known: readonly [
  Known<Parameters<typeof createVerifier>[0]>,
  Known<Awaited<ReturnType<typeof openDatabase>>>,
  Known<ReturnType<typeof createAppServer>>,
  Known<ReturnType<typeof createInput>>,
  Known<ReturnType<typeof defineErrors>>,
  Known<Parameters<typeof openStore>[0]>,
  Known<ReturnType<typeof createFakeClock>>,
  Known<Parameters<typeof accessMatrix>[0]>,
  Known<Client>,
  Known<ConfigInput>,
  Known<ReturnType<typeof useLiveQuery>>,
  Known<ReturnType<typeof createTidemark>['supabase']>,
] = null!

export const config = defineConfig({ alerts: { channels: { ops: { type: 'slack', url: 'https://example.com/hook' } } } })
export const entry = cached('notes:{id}', {
  ttl: '15m',
  from: { notes: 'id' },
  load: ({ id }, db) => db.query('select * from notes where id = $1', [id]),
})
export const rowsOf = (snapshot: LiveSnapshot<{ id: number }>): readonly number[] => snapshot.rows.map(({ id }) => id)
export const codeOf = (error: unknown): string => (isTidemarkError(error) ? error.code : 'another')

// @ts-expect-error an option that there is not
defineConfig({ alertz: {} })
`
