// `npm run audit`: secrets in what is committed, licences of what is installed with us, and what is known of the weaknesses of it, which npm's registry
// is asked for. Exit code 0: nothing found, 1: something found, or not everything could be looked at.
import { spawnSync } from 'node:child_process'
import { parseOptions, toVerdict } from '../options.ts'
import { root } from '../repository.ts'
import { otherLicences } from './licences.ts'
import { committedSecrets } from './secrets.ts'

const usage = `npm run audit -- [options]
  --offline   leaves out what asks the registry`

interface Advisories {
  readonly error?: unknown
  readonly message?: string
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string; readonly range: string }>>
}

/** undefined where the registry does not say. */
const weaknesses = (): readonly string[] | undefined => {
  const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { cwd: root, encoding: 'utf8' })
  const answer = JSON.parse(stdout === '' ? '{}' : stdout) as Advisories
  if (answer.vulnerabilities === undefined) return undefined
  return Object.entries(answer.vulnerabilities).map(([name, { severity, range }]) => `${name} ${range}: ${severity}`)
}

const tell = (what: string, found: readonly string[] | undefined): boolean => {
  const verdict = found === undefined ? 'not judged' : found.length === 0 ? 'ok' : 'FOUND'
  console.log(`${verdict.padEnd(10)} ${what}${found === undefined ? ': the registry does not answer' : ''}`)
  for (const line of found ?? []) console.log(`  ${line}`)
  return verdict === 'ok'
}

await toVerdict(async () => {
  const values = parseOptions(usage, { offline: { type: 'boolean' } })
  const secrets = committedSecrets(root).map(({ path, line, kind }) => `${path}:${line} looks like ${kind}`)
  const isOk = [tell('secrets in what is committed', secrets), tell('licences of dependencies', otherLicences(root))]
  if (values['offline'] !== true) isOk.push(tell('known weaknesses of dependencies', weaknesses()))
  console.log(isOk.every(Boolean) ? 'PASSED' : 'FAILED')
  return isOk.every(Boolean)
})
