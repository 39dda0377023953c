// Looks for the programs that some tests run against, and where it may (Debian, root) installs those that are missing, saying so.
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { run } from './run.ts'

interface Tool {
  /** Any of these will do. */
  readonly commands: readonly string[]
  /** Debian's package of the first. */
  readonly debian: string
  readonly neededFor: string
}

const tools: readonly Tool[] = [
  { commands: ['redis-server', 'valkey-server'], debian: 'redis-server', neededFor: 'the tests against a real Redis' },
  { commands: ['sqlite3'], debian: 'sqlite3', neededFor: 'the tests in which another program writes to the SQLite file' },
  { commands: ['chromium', 'chromium-browser', 'google-chrome'], debian: 'chromium', neededFor: 'the tests in a browser' },
]

const isOnPath = (command: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some((folder) => folder !== '' && existsSync(join(folder, command)))

const missingTools = (): readonly Tool[] => tools.filter(({ commands }) => !commands.some(isOnPath))

const mayInstall = (): boolean =>
  process.platform === 'linux' && process.getuid?.() === 0 && isOnPath('apt-get') && process.env['TIDEMARK_TEST_INSTALL'] !== '0'

const policy = '/usr/sbin/policy-rc.d'

/** Installing a server must not leave one running: Debian asks this file whether it may start, and 101 is no. */
const withoutServices = async (install: () => Promise<number>): Promise<number> => {
  const ours = !existsSync(policy)
  if (ours) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' })
  try {
    return await install()
  } finally {
    if (ours) rmSync(policy, { force: true })
  }
}

const install = async (packages: readonly string[]): Promise<void> => {
  console.log(`tools: installing Debian's ${packages.join(', ')} with apt-get (as root; TIDEMARK_TEST_INSTALL=0 prevents it)`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  await withoutServices(async () => {
    const args = ['-qq', '-y', '--no-install-recommends', 'install', ...packages]
    if ((await run('apt-get', args, env)) === 0) return 0
    await run('apt-get', ['-qq', 'update'], env)
    return await run('apt-get', args, env)
  })
}

const missing = missingTools()
if (missing.length > 0 && mayInstall()) await install(missing.map(({ debian }) => debian))
for (const { commands, debian, neededFor } of missingTools()) {
  console.log(`tools: there is no ${commands.join(' or ')}; ${neededFor} are skipped. On Debian: apt-get install ${debian}`)
}
