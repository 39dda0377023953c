import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openState } from '../../state/state.js'
import { copyBareState } from '../../testing/project/prepared-project.js'
import { useCleanups } from '../../testing/use-cleanups.js'
import { until } from '../../time/until.js'
import { runProgram } from './cluster.js'
import { describeEmbeddedPostgres, startEmbeddedPostgres } from './embedded.js'
import { linkLibraries } from './libraries.js'
import { outsideDir, preparePlace } from './place.js'
import { findBinaries } from './platform.js'
import { findPostmaster } from './postmaster.js'

const isRoot = process.getuid?.() === 0
const nobody = 65_534
const built = (path: string) => fileURLToPath(new URL(`../../../dist/${path}`, import.meta.url))

interface Ready {
  readonly url: string
  readonly port: number
  readonly attached: boolean
  readonly dataDir: string
}

/** A command of its own process that holds the server of a project until it is ended. */
const holdScript = `
  import { openState } from ${JSON.stringify(built('state/state.js'))}
  import { startEmbeddedPostgres } from ${JSON.stringify(built('postgres/embedded/embedded.js'))}
  const server = await startEmbeddedPostgres({ state: await openState(process.argv[2]), disposable: true, settings: { synchronous_commit: 'on' }, log: (line) => console.error(line) })
  process.on('SIGTERM', () => server.stop().then(() => process.exit(0)))
  console.log(JSON.stringify(server))
  setInterval(() => {}, 60_000)
`

let scriptDir: string
beforeAll(async () => {
  scriptDir = await mkdtemp(join(tmpdir(), 'tidemark-script-'))
  await chmod(scriptDir, 0o755)
  await writeFile(join(scriptDir, 'hold.mjs'), holdScript)
})
afterAll(() => rm(scriptDir, { recursive: true }))

const cleanups = useCleanups()

const newDir = async (prefix = 'tidemark-embedded-'): Promise<string> => {
  const dir = await mkdtemp(join(tmpdir(), prefix))
  cleanups.push(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** A state folder; whatever server a test leaves on it is killed. */
const newProject = async (): Promise<string> => {
  const dir = await newDir()
  cleanups.push(async () => {
    for (const dataDir of [join(dir, 'postgres', 'data'), join(outsideDir(dir), 'postgres', 'data')]) {
      const left = await findPostmaster(dataDir)
      if (left) process.kill(left.identity.pid, 'SIGKILL')
    }
  })
  return dir
}

/** One that was used before and whose server was stopped: for what does not look at how the first start goes. */
const usedProject = async (): Promise<string> => {
  const dir = await newProject()
  await copyBareState(dir)
  return dir
}

/** Nothing here survives a power cut, and everything the death of processes. */
const quick = { disposable: true, settings: { synchronous_commit: 'on' } }

const start = async (dir: string, options: Partial<Parameters<typeof startEmbeddedPostgres>[0]> = {}) => {
  const server = await startEmbeddedPostgres({ state: await openState(dir), ...quick, ...options })
  cleanups.push(() => server.stop())
  return server
}

const hold = (dir: string, options: { uid?: number; gid?: number } = {}) => {
  const child: ChildProcess = spawn(process.execPath, [join(scriptDir, 'hold.mjs'), dir], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  })
  cleanups.push(() => child.kill('SIGKILL'))
  let errors = ''
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
    errors += chunk
  })
  const exit = new Promise<number | string | null>((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)))
  const ready = new Promise<Ready>((resolve, reject) => {
    createInterface({ input: child.stdout! }).once('line', (line) => resolve(JSON.parse(line) as Ready))
    void exit.then(() => reject(new Error(`the command ended: ${errors}`)))
  })
  ready.catch(() => undefined)
  return { child, ready, exit, errors: () => errors }
}

const query = async <R extends pg.QueryResultRow>(url: string, text: string): Promise<R[]> => {
  const client = new pg.Client(url)
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<R>(text)).rows
  } finally {
    await client.end()
  }
}

const isRunning = async (dir: string) => (await findPostmaster(join(dir, 'postgres', 'data'))) !== undefined
const killServer = async (dataDir: string) => process.kill((await findPostmaster(dataDir))!.identity.pid, 'SIGKILL')

describe('the embedded Postgres', () => {
  it('is a real server on the loopback alone, ready for logical replication, with a password', async () => {
    const dir = await newProject()
    const server = await start(dir, { disposable: false })
    const [settings] = await query(
      server.url,
      `select current_setting('listen_addresses') as addresses, current_setting('unix_socket_directories') as sockets,
              current_setting('wal_level') as wal, current_setting('fsync') as fsync, current_setting('server_encoding') as encoding,
              current_setting('max_slot_wal_keep_size') as keep,
              (select datlocprovider::text || ' ' || datlocale from pg_database where datname = 'postgres') as locale`,
    )
    expect(settings).toEqual({
      addresses: '127.0.0.1',
      sockets: '',
      wal: 'logical',
      fsync: 'on',
      encoding: 'UTF8',
      keep: '4GB',
      locale: 'b C.UTF-8',
    })
    expect(server.version).toMatch(/^18/)
    await expect(query(server.url.replace(server.superuserPassword, 'guess'), 'select 1')).rejects.toThrow(/password/)
    expect((await stat(join(dir, 'secrets.json'))).mode & 0o077).toBe(0)
  })

  it('keeps its data, its password and its port from one start to the next', async () => {
    const dir = await usedProject()
    const first = await start(dir)
    await query(first.url, 'create table kept as select 42 as answer')
    await first.stop()
    expect(await isRunning(dir)).toBe(false)
    const second = await start(dir)
    expect(second.url).toBe(first.url)
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  it('is attached to by a second command, and stopped by the last one out', async () => {
    const dir = await usedProject()
    const first = await start(dir)
    const second = hold(dir)
    const { url, attached } = await second.ready
    expect({ url, attached }).toEqual({ url: first.url, attached: true })
    await first.stop()
    expect(await isRunning(dir)).toBe(true)
    second.child.kill('SIGTERM')
    expect(await second.exit).toBe(0)
    expect(await isRunning(dir)).toBe(false)
    expect(await readFile(join(dir, 'postgres', 'postgres.log'), 'utf8')).toContain('fast shutdown')
  })

  it('is started once by commands that come at the same time', async () => {
    const dir = await newProject()
    const commands = [hold(dir), hold(dir), hold(dir)]
    const answers = await Promise.all(commands.map(({ ready }) => ready))
    expect(answers.map(({ attached }) => attached).sort()).toEqual([false, true, true])
    expect(new Set(answers.map(({ port }) => port)).size).toBe(1)
  })

  it('is adopted when the command that started it was killed', async () => {
    const dir = await usedProject()
    const killed = hold(dir)
    const { url } = await killed.ready
    await query(url, 'create table kept ()')
    killed.child.kill('SIGKILL')
    await killed.exit
    expect(await isRunning(dir)).toBe(true)
    const next = await start(dir)
    expect(next.attached).toBe(true)
    expect(await query(next.url, 'select from kept')).toEqual([])
    await next.stop()
    expect(await isRunning(dir)).toBe(false)
  })

  it('recovers on its data when it was killed itself, and when its command was killed too', async () => {
    const dir = await usedProject()
    const killed = hold(dir)
    const { url, dataDir } = await killed.ready
    await query(url, 'create table kept as select 1 as id')
    killed.child.kill('SIGKILL')
    await killed.exit
    await killServer(dataDir)
    expect(await readdir(dataDir)).toContain('postmaster.pid')
    const next = await start(dir)
    expect(next.attached).toBe(false)
    expect(await query(next.url, 'select id from kept')).toEqual([{ id: 1 }])
  })

  /** Somebody has connected to the port, whether or not they are answered. */
  const isConnectedTo = async (port: number): Promise<boolean> => {
    const here = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
    const lines = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/))
    return lines.some(([, local, , state]) => local === here && state === '01')
  }

  it.skipIf(process.platform !== 'linux')('is started where it dies at the moment at which a command finds it', async () => {
    const dir = await usedProject()
    const holder = hold(dir)
    const { dataDir } = await holder.ready
    holder.child.kill('SIGKILL')
    await holder.exit
    const { identity, port } = (await findPostmaster(dataDir))!
    await until(async () => !(await isConnectedTo(port)))
    // It takes connections, and answers none.
    process.kill(identity.pid, 'SIGSTOP')
    const next = start(dir)
    await until(() => isConnectedTo(port))
    process.kill(identity.pid, 'SIGKILL')
    expect((await next).attached).toBe(false)
  })

  it('is started again on its port when it is killed while a command uses it', async () => {
    const dir = await usedProject()
    const lines: string[] = []
    const server = await start(dir, { log: (line) => lines.push(line) })
    await query(server.url, 'create table kept ()')
    await killServer(server.dataDir)
    await until(() => lines.includes('Postgres died; starting it again'))
    await until(() => query(server.url, 'select from kept').catch(() => false))
  })

  it('stays down when somebody shut it down in order', async () => {
    const dir = await usedProject()
    const lines: string[] = []
    const server = await start(dir, { log: (line) => lines.push(line) })
    const { identity } = (await findPostmaster(server.dataDir))!
    lines.length = 0
    process.kill(identity.pid, 'SIGINT')
    await until(async () => !(await isRunning(dir)))
    await server.stop()
    expect(lines).toEqual([])
  })

  it('runs for two projects at once', async () => {
    const [one, two] = await Promise.all([newProject().then(start), newProject().then(start)])
    expect(one.port).not.toBe(two.port)
    expect(one.superuserPassword).not.toBe(two.superuserPassword)
    await Promise.all([one, two].map(({ url }) => query(url, 'select 1')))
  })

  it('moves to the next free port when its own is taken', async () => {
    const dir = await usedProject()
    const first = await start(dir)
    await first.stop()
    const blocker = createServer().listen(first.port, '127.0.0.1')
    cleanups.push(() => blocker.close())
    const lines: string[] = []
    const second = await start(dir, { log: (line) => lines.push(line) })
    expect(second.port).toBeGreaterThan(first.port)
    expect(lines).toEqual([`port ${first.port} is taken; Postgres listens on ${second.port}`])
    expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('makes the cluster anew when the first attempt was killed half way', async () => {
    const dir = await newProject()
    const killed = hold(dir)
    const base = join(dir, 'postgres')
    await until(async () => (await readdir(base).catch(() => [])).some((name) => name.startsWith('data.new')), { intervalMs: 1 })
    killed.child.kill('SIGKILL')
    await killed.exit
    expect(await readdir(base)).not.toContain('data')
    const server = await start(dir)
    expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }])
    expect((await readdir(base)).filter((name) => /^(data\.new|password)/.test(name))).toEqual([])
  })

  it('refuses data of another major version, and a folder with something else in it', async () => {
    const dir = await usedProject()
    const server = await start(dir)
    await server.stop()
    const versionFile = join(server.dataDir, 'PG_VERSION')
    await writeFile(versionFile, '16\n')
    await expect(start(dir)).rejects.toMatchObject({
      code: 'TM_POSTGRES_EMBEDDED_START',
      message: expect.stringContaining('was made by Postgres 16'),
    })
    await rm(versionFile)
    await expect(start(dir)).rejects.toThrow(/holds something that is not a Postgres cluster/)
  })

  it('is not confused by a left-behind pid that now belongs to another program', async () => {
    const dir = await usedProject()
    const first = await start(dir, { restart: false })
    await killServer(first.dataDir)
    await until(async () => !(await isRunning(dir)))
    const file = join(first.dataDir, 'postmaster.pid')
    // Of the server's own user: a process of anybody else does not disturb Postgres.
    const other = spawn('sleep', ['600'], { stdio: 'ignore', ...(isRoot && { uid: nobody, gid: nobody }) })
    cleanups.push(() => other.kill('SIGKILL'))
    await writeFile(file, (await readFile(file, 'utf8')).replace(/^\d+/, String(other.pid)))
    await first.stop()
    const second = await start(dir)
    expect(await query(second.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('gets a new password when the secrets were removed, whether it runs or not', async () => {
    const dir = await usedProject()
    const first = await start(dir)
    await query(first.url, 'create table kept ()')
    await first.stop()
    await rm(join(dir, 'secrets.json'))
    const killed = hold(dir)
    const { url } = await killed.ready
    expect(url).not.toBe(first.url)
    killed.child.kill('SIGKILL')
    await killed.exit
    await rm(join(dir, 'secrets.json'))
    const third = await start(dir)
    expect(third.url).not.toBe(url)
    expect(await query(third.url, 'select from kept')).toEqual([])
  })

  it('is waited for while it stops, and then started', async () => {
    const dir = await usedProject()
    const first = await start(dir, { restart: false })
    const busy = new pg.Client(first.url)
    busy.on('error', () => undefined)
    await busy.connect()
    const { identity } = (await findPostmaster(first.dataDir))!
    process.kill(identity.pid, 'SIGTERM')
    await until(async () => (await findPostmaster(first.dataDir))?.ready === false)
    const second = start(dir)
    await busy.end()
    expect((await second).attached).toBe(false)
    expect(await query((await second).url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('says what is wrong when its folder is a file', async () => {
    const dir = await newProject()
    await openState(dir)
    await writeFile(join(dir, 'postgres'), '')
    await expect(start(dir)).rejects.toMatchObject({
      code: expect.stringMatching(/^TM_(POSTGRES_EMBEDDED_START|STATE_FOLDER_UNUSABLE)$/),
    })
  })

  describe.runIf(isRoot)('started by root', () => {
    it('runs as an unprivileged user that can read its data and nothing else of the project', async () => {
      const dir = await newProject()
      const { dataDir } = await start(dir)
      const { identity } = (await findPostmaster(dataDir))!
      expect((await stat(`/proc/${identity.pid}`)).uid).toBe(nobody)
      expect((await stat(dataDir)).uid).toBe(nobody)
      expect((await stat(join(dir, 'postgres'))).uid).toBe(0)
      expect((await stat(join(dir, 'secrets.json'))).mode & 0o777).toBe(0o600)
    })

    it('keeps data and binaries elsewhere under a closed folder, says so, and finds them again', async () => {
      const closed = await newDir('tidemark-closed-')
      await chmod(closed, 0o700)
      const dir = join(closed, 'state')
      cleanups.push(() => rm(outsideDir(dir), { recursive: true, force: true }))
      const first = await start(dir)
      expect(first.elsewhere).toContain(`which may not enter ${closed}`)
      expect(first.dataDir.startsWith(outsideDir(dir))).toBe(true)
      expect(await describeEmbeddedPostgres(dir)).toMatchObject({ dataDir: first.dataDir, elsewhere: first.elsewhere })
      await query(first.url, 'create table kept ()')
      await first.stop()
      const second = await start(dir)
      expect(await query(second.url, 'select from kept')).toEqual([])
    })

    it('runs a copy of binaries that the server may not reach', async () => {
      const closed = await newDir('tidemark-closed-')
      const installed = await findBinaries()
      await cp(installed.nativeDir, join(closed, 'native'), { recursive: true })
      const dir = await newProject()
      cleanups.push(() => rm(outsideDir(dir), { recursive: true, force: true }))
      const place = await preparePlace(dir, { ...installed, nativeDir: join(closed, 'native') })
      expect(place).toMatchObject({
        dataDir: join(dir, 'postgres', 'data'),
        elsewhere: expect.stringContaining('its binaries are kept in'),
      })
      await linkLibraries(place.nativeDir, place.libraryDir)
      expect(await runProgram(place, 'postgres', ['--version'])).toMatchObject({
        code: 0,
        output: expect.stringContaining('18.'),
      })
    })

    it('does not use a folder in a shared place that somebody else has made', async () => {
      const closed = await newDir('tidemark-closed-')
      const dir = join(closed, 'state')
      await mkdir(outsideDir(dir))
      cleanups.push(() => rm(outsideDir(dir), { recursive: true, force: true }))
      await chown(outsideDir(dir), nobody, nobody)
      await expect(start(dir)).rejects.toThrow(/belongs to another user/)
    })

    it('continues on the data of an ordinary user, as that user, and an ordinary user runs it alone', async () => {
      const dir = await newProject()
      await chown(dir, nobody, nobody)
      await chmod(dir, 0o700)
      const ordinary = hold(dir, { uid: nobody, gid: nobody })
      const { url, attached } = await ordinary.ready
      expect(attached).toBe(false)
      await query(url, 'create table kept ()')
      ordinary.child.kill('SIGTERM')
      expect(await ordinary.exit).toBe(0)
      const server = await start(dir)
      expect(await query(server.url, 'select from kept')).toEqual([])
    })

    it('says that the disk is full, while making the cluster and while starting on it', async () => {
      const mount = await newDir('tidemark-full-')
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=755', 'tmpfs', mount])
      cleanups.push(() => execFileSync('umount', ['-l', mount]))
      const dir = join(mount, 'state')
      await expect(start(dir)).rejects.toMatchObject({ code: 'TM_POSTGRES_DISK_FULL' })
      expect((await readdir(join(dir, 'postgres'))).filter((name) => name.startsWith('data'))).toEqual([])
      execFileSync('mount', ['-o', 'remount,size=64m', mount])
      const server = await start(dir)
      await server.stop()
      const free = execFileSync('df', ['--output=avail', '-B1', mount]).toString().trim().split('\n')[1]
      execFileSync('fallocate', ['-l', String(free).trim(), join(mount, 'ballast')])
      await expect(start(dir)).rejects.toMatchObject({
        code: expect.stringMatching(/^TM_(POSTGRES_DISK_FULL|STATE_FOLDER_UNUSABLE)$/),
        message: expect.stringMatching(/space/),
      })
      await rm(join(mount, 'ballast'))
      const again = await start(dir)
      expect(await query(again.url, 'select 1 as one')).toEqual([{ one: 1 }])
    })
  })

  it('goes on when the folder of the project is moved', async () => {
    const dir = await usedProject()
    const first = await start(dir)
    await query(first.url, 'create table kept ()')
    await first.stop()
    const moved = `${dir}-moved`
    await rename(dir, moved)
    cleanups.push(() => rm(moved, { recursive: true, force: true }))
    const second = await start(moved)
    expect(await query(second.url, 'select from kept')).toEqual([])
  })
})
