import { readFileSync } from 'node:fs'
import { join } from 'node:path'

interface LockedPackage {
  readonly license?: string
  readonly dev?: boolean
  readonly link?: boolean
}

/** Licences under which the packages that are installed with ours may be used by anybody who keeps their notices. */
const free: ReadonlySet<string> = new Set([
  '0BSD',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'MIT-0',
  'PostgreSQL',
  'Unlicense',
])

/** `(MIT OR WTFPL)` is free by its first part. */
const isFree = (licence: string): boolean =>
  licence
    .replaceAll(/[()]/g, '')
    .split(' OR ')
    .some((each) => each.split(' AND ').every((one) => free.has(one)))

/** Packages that are installed with ours and whose licence is another, or none. */
export const otherLicences = (root: string): readonly string[] => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, LockedPackage>>
  }
  return Object.entries(packages)
    .filter(([path, { dev, link }]) => path.startsWith('node_modules/') && dev !== true && link !== true)
    .filter(([, { license }]) => license === undefined || !isFree(license))
    .map(([path, { license }]) => `${path.replace('node_modules/', '')}: ${license ?? 'no licence'}`)
}
