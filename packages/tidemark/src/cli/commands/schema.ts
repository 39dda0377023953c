import { writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { exitCodes } from '../../errors.js'
import type { SchemaDifference } from '../../schema/schema.js'
import * as operations from '../../server/operations/schema.js'
import { commandProject } from '../command-project.js'
import type { Run } from '../context.js'
import { renderFailure } from '../failure.js'
import { exposureLines, exposureText } from '../text/exposure-text.js'
import { counted } from '../text/progress-text.js'
import { table } from '../text/table.js'

/** Needs no database: a migration is a file. */
export const schemaNew: Run = async (context, [name = '']) => {
  const { terminal, io, dryRun } = context
  await context.config()
  const [{ createMigrator }, { projectSource }] = await Promise.all([
    import('../../schema/migrator.js'),
    import('../../schema/migration-files.js'),
  ])
  const directory = join(io.cwd, 'supabase', 'migrations')
  if (dryRun) {
    terminal.result({ directory, dryRun }, () => `A migration would be written to ${relative(io.cwd, directory)}.`)
    return exitCodes.ok
  }
  const unconnected = () => Promise.reject(new Error('a new migration needs no connection'))
  const path = await createMigrator({ connect: unconnected, sources: [projectSource(directory)] }).create(name)
  terminal.result({ path }, () => relative(io.cwd, path))
  terminal.note('Write its SQL, then run `tidemark schema up`.')
  return exitCodes.ok
}

export const schemaUp: Run<{ readonly allowOutOfOrder?: boolean }> = async (context, [target], { allowOutOfOrder }) => {
  const { terminal, interrupt, dryRun } = context
  interrupt.setLastWords({
    state: 'each migration is applied as a whole or not at all.',
    fix: 'Run `tidemark schema status` to see which are, and `tidemark schema up` for the rest.',
  })
  const report = await operations.schemaUp(await commandProject(context), { target, dryRun, allowOutOfOrder })
  terminal.result(report, (colors) => {
    if (report.applied.length === 0) return 'Nothing is pending.'
    const verb = dryRun ? 'would apply' : 'applied'
    return report.applied
      .map(({ version, name, source }) => `${colors.green('✓')} ${verb} ${version} ${name} ${colors.dim(`(${source})`)}`)
      .join('\n')
  })
  if (!terminal.json) for (const finding of report.findings) terminal.stderr.write(`${exposureLines(finding, terminal.colors)}\n`)
  return exitCodes.ok
}

export const schemaStatus: Run = async (context) => {
  const status = await operations.schemaStatus(await commandProject(context))
  context.terminal.result(status, () =>
    table(
      ['source', 'version', 'name', 'state', 'applied'],
      status.migrations.map(({ source, version, name, state, appliedAt }) => [
        source,
        version,
        name,
        state,
        appliedAt?.toISOString() ?? '',
      ]),
    ),
  )
  return exitCodes.ok
}

const differenceLines = ({ kind, schema, parent, name, state, attributes }: SchemaDifference): readonly string[] => [
  `${state.padEnd(7)}  ${kind} ${[schema, parent, name].filter((part) => part !== null).join('.')}`,
  ...attributes.map(
    ({ attribute, database, files }) => `           ${attribute}: ${database} in the database, ${files} in the files`,
  ),
]

export const schemaDiff: Run<{ readonly schema?: readonly string[] }> = async (context, _operands, { schema }) => {
  const { terminal } = context
  const diff = await operations.schemaDiff(await commandProject(context), {
    schemas: schema === undefined ? undefined : [...schema],
  })
  terminal.result(diff, () =>
    diff.ok ? 'The database is what its migrations say.' : diff.differences.flatMap(differenceLines).join('\n'),
  )
  if (diff.ok) return exitCodes.ok
  if (!terminal.json) terminal.stderr.write(`${renderFailure(operations.driftError(diff), terminal.colors, false)}\n`)
  return exitCodes.gate
}

export const schemaCheck: Run<{ readonly schema?: readonly string[] }> = async (context, _operands, { schema }) => {
  const { terminal } = context
  const report = await operations.schemaCheck(await commandProject(context), {
    schemas: schema === undefined ? undefined : [...schema],
  })
  terminal.result(report, (colors) => exposureText(report, colors))
  if (report.ok) return exitCodes.ok
  if (!terminal.json) terminal.stderr.write(`${renderFailure(operations.openError(report), terminal.colors, false)}\n`)
  return exitCodes.gate
}

export const schemaTypes: Run<{ readonly schema?: readonly string[]; readonly out?: string }> = async (
  context,
  _operands,
  { schema, out },
) => {
  const { terminal, io, dryRun } = context
  const { types } = await operations.schemaTypes(await commandProject(context), {
    schemas: schema === undefined ? undefined : [...schema],
  })
  if (out === undefined) {
    terminal.result({ types }, () => types)
    return exitCodes.ok
  }
  const path = resolve(io.cwd, out)
  if (!dryRun) await writeFile(path, types)
  terminal.result(
    { path, bytes: Buffer.byteLength(types) },
    () => `${dryRun ? 'would write' : 'wrote'} ${out} (${counted(types.split('\n').length, 'line')})`,
  )
  return exitCodes.ok
}
