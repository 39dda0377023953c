import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { TidemarkError } from '../errors.js'
import type { Migration, MigrationSource } from './schema.js'
import { canonicalStatement, headOf, splitStatements } from './split-statements.js'

const fileName = /^(\d+)_(.+)\.sql$/
const noTransaction = /^\s*--\s*tidemark:\s*no-transaction\s*$/im

/** The platform's own migrations, shipped with the package. They go before all others. */
export const platformSource: MigrationSource = {
  name: 'tidemark',
  directory: new URL('../../migrations/', import.meta.url),
  ledger: 'tidemark',
}

/** The project's migrations, shared with the Supabase CLI. */
export const projectSource = (directory: string | URL = 'supabase/migrations'): MigrationSource => ({
  name: 'project',
  directory,
  ledger: 'supabase',
})

/** The migrations of one app of the project. */
export const appSource = (name: string, directory: string | URL): MigrationSource => ({
  name: `app:${name}`,
  directory,
  ledger: 'tidemark',
})

export const directoryOf = (source: MigrationSource): string =>
  typeof source.directory === 'string' ? source.directory : fileURLToPath(source.directory)

const checksumOfEach = (statements: readonly { readonly text: string }[]): string => {
  const canonical = statements.map(({ text }) => canonicalStatement(text)).join(';\n')
  return createHash('sha256').update(canonical).digest('hex')
}

/** Equal for files that say the same, whatever their comments and blanks; also for the `statements` another tool recorded. */
export const checksumOf = (statements: readonly string[]): string => checksumOfEach(splitStatements(statements.join(';\n')))

/** Takes the text of a migration file apart. */
export const parseMigration = (source: MigrationSource, file: string, text: string): Migration => {
  const [, version = '', name = ''] = fileName.exec(file) ?? []
  if (version === '') throw new TidemarkError('TM_SCHEMA_BAD_NAME', { file })
  // A byte order mark is no part of the first statement.
  const sql = text.replace(/^\uFEFF/, '')
  const statements = splitStatements(sql)
  return {
    source,
    version,
    name,
    file,
    statements,
    checksum: checksumOfEach(statements),
    // The mark counts only above the first statement: anywhere else it may stand in a function's body.
    transactional: !noTransaction.test(headOf(sql)),
  }
}

const namesIn = async (directory: string): Promise<readonly string[]> => {
  try {
    const entries = await readdir(directory, { withFileTypes: true })
    return entries.filter((entry) => !entry.isDirectory() && entry.name.endsWith('.sql')).map((entry) => entry.name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** Reads a source, in order of version. Raises TM_SCHEMA_BAD_NAME and TM_SCHEMA_DUPLICATE. */
export const readSource = async (source: MigrationSource): Promise<readonly Migration[]> => {
  const directory = directoryOf(source)
  const names = await namesIn(directory)
  const migrations = await Promise.all(
    names.map(async (name) => parseMigration(source, name, await readFile(join(directory, name), 'utf8'))),
  )
  migrations.sort((a, b) => compareVersions(a.version, b.version) || (a.file < b.file ? -1 : 1))
  for (const [index, { version, file }] of migrations.entries()) {
    const other = migrations[index + 1]
    if (other?.version === version) throw new TidemarkError('TM_SCHEMA_DUPLICATE', { version, first: file, second: other.file })
  }
  return migrations
}

/** By characters, as the Supabase CLI and its ledger order them. */
export const compareVersions = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
