import { execFileSync } from 'node:child_process'
import { appendFile, chmod, chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startBarePostgres } from '../../testing/project/prepared-project.js'
import { until } from '../../time/until.js'
import type { EmbeddedPostgres } from '../embedded/embedded.js'
import { createPools } from '../pool/pools.js'
import { connectPostgres } from './connect.js'

const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version'])
    return true
  } catch {
    return false
  }
})()

interface Certificate {
  readonly certFile: string
  readonly keyFile: string
}

let dir: string
const certificate = (name: string): Certificate => {
  const [certFile, keyFile] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)]
  execFileSync(
    'openssl',
    `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=${name} -addext subjectAltName=DNS:localhost -keyout ${keyFile} -out ${certFile}`.split(
      ' ',
    ),
    { stdio: 'ignore' },
  )
  return { certFile, keyFile }
}

const closers: (() => Promise<unknown> | unknown)[] = []
let own: Certificate
let stranger: Certificate
let secured: EmbeddedPostgres
let plain: EmbeddedPostgres

const startServer = async (name: string, settings: Record<string, string>): Promise<EmbeddedPostgres> => {
  const server = await startBarePostgres(dir, { name, settings })
  closers.push(() => server.stop())
  return server
}

const reading = async (url: string, text = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()') => {
  const client = await connectPostgres({ url, connectTimeoutMs: 5_000 })
  try {
    return (await client.query<{ ssl: boolean }>(text)).rows[0]
  } finally {
    await client.end()
  }
}

const url = (
  server: EmbeddedPostgres,
  parameters: string,
  change: { host?: string; port?: number; user?: string } = {},
): string => {
  const { host = server.host, port = server.port, user = 'postgres' } = change
  return `postgres://${user}:${server.superuserPassword}@${host}:${port}/postgres?${parameters}`
}
const refusal = (reason: RegExp) => expect.objectContaining({ code: 'TM_POSTGRES_TLS', message: expect.stringMatching(reason) })

beforeAll(async () => {
  if (!hasOpenssl) return
  dir = await mkdtemp(join(tmpdir(), 'tidemark-tls-'))
  await chmod(dir, 0o755)
  own = certificate('own')
  stranger = certificate('stranger')
  const [cert, key] = [join(dir, 'server.crt'), join(dir, 'server.key')]
  await writeFile(cert, await readFile(own.certFile))
  await writeFile(key, await readFile(own.keyFile), { mode: 0o600 })
  if (process.getuid?.() === 0) for (const file of [cert, key]) await chown(file, 65_534, 65_534)
  secured = await startServer('secured', { ssl: 'on', ssl_cert_file: cert, ssl_key_file: key })
  plain = await startServer('plain', {})
})
afterAll(async () => {
  for (const close of closers.reverse()) await close()
  if (dir) await rm(dir, { recursive: true, force: true })
})

describe.skipIf(!hasOpenssl)('C34: sslmode', () => {
  it('disable speaks in clear, also to a server that offers TLS', async () => {
    expect(await reading(url(secured, 'sslmode=disable'))).toEqual({ ssl: false })
  })

  it('prefer takes TLS where it is offered, and goes without where it is not', async () => {
    expect(await reading(url(secured, ''))).toEqual({ ssl: true })
    expect(await reading(url(plain, ''))).toEqual({ ssl: false })
  })

  it('R125: require encrypts, whoever answers, and never goes without', async () => {
    expect(await reading(url(secured, 'sslmode=require'))).toEqual({ ssl: true })
    await expect(reading(url(plain, 'sslmode=require'))).rejects.toEqual(refusal(/does not support SSL/))
  })

  it('verify-ca asks for a certificate of the authority, under any name', async () => {
    expect(await reading(url(secured, `sslmode=verify-ca&sslrootcert=${own.certFile}`))).toEqual({ ssl: true })
    await expect(reading(url(secured, `sslmode=verify-ca&sslrootcert=${stranger.certFile}`))).rejects.toEqual(
      refusal(/self-signed/),
    )
    await expect(reading(url(secured, `sslmode=require&sslrootcert=${stranger.certFile}`))).rejects.toEqual(
      refusal(/self-signed/),
    )
  })

  it('verify-full asks for the name as well', async () => {
    const full = `sslmode=verify-full&sslrootcert=${own.certFile}`
    expect(await reading(url(secured, full, { host: 'localhost' }))).toEqual({ ssl: true })
    await expect(reading(url(secured, full))).rejects.toEqual(refusal(/IP: 127\.0\.0\.1 is not in the cert/))
    await expect(reading(url(secured, 'sslmode=verify-full', { host: 'localhost' }))).rejects.toEqual(refusal(/self-signed/))
  })

  it('is the one of the options where the URL names none', async () => {
    const bare = url(plain, '').replace('?', '')
    await expect(connectPostgres({ url: bare, sslMode: 'require' })).rejects.toEqual(refusal(/does not support SSL/))
  })

  it('comes with a certificate file that is named when it cannot be read', async () => {
    await expect(reading(url(secured, 'sslmode=verify-full&sslrootcert=/nowhere.crt'))).rejects.toEqual(refusal(/nowhere\.crt/))
  })

  it('works with TLS from the first byte', async () => {
    expect(await reading(url(secured, 'sslmode=require&sslnegotiation=direct'))).toEqual({ ssl: true })
  })
})

/** A man in the middle: TLS with a certificate of his own towards the client, and on to the server with or without TLS. */
const startProxy = async (
  server: EmbeddedPostgres,
  { certFile, keyFile }: Certificate,
): Promise<{ port: number; bytes(): string; open(): number }> => {
  const [cert, key] = [await readFile(certFile), await readFile(keyFile)]
  let seen = ''
  let open = 0
  const serve = (socket: Socket) => {
    open += 1
    socket
      .on('error', () => undefined)
      .on('close', () => {
        open -= 1
      })
    socket.once('data', () => {
      socket.write('S')
      const client = new TLSSocket(socket, { isServer: true, cert, key })
      const upstream = connectTcp(server.port, server.host)
      client.on('error', () => upstream.destroy())
      upstream.on('error', () => client.destroy())
      client.on('data', (chunk: Buffer) => {
        seen += chunk.toString('latin1')
      })
      client.pipe(upstream).pipe(client)
    })
  }
  const proxy: Server = createServer(serve)
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  closers.push(() => proxy.close())
  return { port: (proxy.address() as AddressInfo).port, bytes: () => seen, open: () => open }
}

describe.skipIf(!hasOpenssl)('R30, C34: channel_binding', () => {
  it('require logs in where the server binds the login to the connection', async () => {
    expect(await reading(url(secured, 'sslmode=require&channel_binding=require'))).toEqual({ ssl: true })
  })

  it('require refuses a man in the middle before he gets anything made of the password', async () => {
    const { port, bytes, open } = await startProxy(plain, stranger)
    expect(await reading(url(plain, 'sslmode=require&channel_binding=disable', { port }))).toEqual({ ssl: false })
    const before = bytes().length
    await expect(reading(url(plain, 'sslmode=require&channel_binding=require', { port }))).rejects.toEqual(
      refusal(/the server does not offer SCRAM-SHA-256-PLUS/),
    )
    await until(() => open() === 0)
    // The start-up message, and neither a first nor a final SCRAM message.
    expect(bytes().slice(before)).not.toMatch(/SCRAM|n=\*|,p=/)
  })

  it('require refuses a server with nothing to bind over a connection in clear', async () => {
    await expect(reading(url(plain, 'sslmode=prefer&channel_binding=require'))).rejects.toMatchObject({ code: 'TM_POSTGRES_TLS' })
  })

  it('require refuses every other kind of login', async () => {
    const admin = await connectPostgres({ url: secured.url })
    await admin.query(`set password_encryption = 'md5'; create role old login password '${secured.superuserPassword}'`)
    await admin.query(
      `reset password_encryption; create role clear login password '${secured.superuserPassword}'; create role open login`,
    )
    const hba = join(secured.dataDir, 'pg_hba.conf')
    const rules = await readFile(hba, 'utf8')
    await writeFile(hba, 'host all old all md5\nhost all clear all password\nhost all open all trust\n')
    await appendFile(hba, rules)
    await admin.query('select pg_reload_conf()')
    await until(async () => (await admin.query(`select from pg_hba_file_rules where auth_method = 'trust'`)).rowCount === 1)
    await admin.end()
    const reasons: Record<string, RegExp> = {
      old: /MD5 login/,
      clear: /asks for the password itself/,
      open: /asked for no login at all/,
    }
    for (const [user, reason] of Object.entries(reasons)) {
      await until(() => reading(url(secured, 'sslmode=require', { user })).then(Boolean, () => false))
      await expect(reading(url(secured, 'sslmode=require&channel_binding=require', { user }))).rejects.toEqual(refusal(reason))
    }
  })
})

describe.skipIf(!hasOpenssl)('a pool over TLS', () => {
  it('cancels a statement over TLS too', async () => {
    const pools = createPools({ url: url(secured, 'sslmode=require&channel_binding=require') })
    closers.push(() => pools.stop(0))
    const abort = new AbortController()
    const work = pools.primary.query('select pg_sleep(60) /* over tls */', [], { signal: abort.signal })
    const running = async () =>
      (
        await pools.migration.query(
          `select from pg_stat_activity where state = 'active' and query like 'select pg_sleep(60)%tls%'`,
        )
      ).rowCount
    await until(async () => (await running()) === 1)
    abort.abort(new Error('enough'))
    await expect(work).rejects.toThrow('enough')
    await until(async () => (await running()) === 0)
    await pools.stop()
  })

  it('lends clients that know their TLS', async () => {
    const pools = createPools({ url: url(secured, 'sslmode=require') })
    closers.push(() => pools.stop(0))
    await pools.primary.withClient(async ({ raw }) => {
      expect((raw as pg.Client).connection.stream).toBeInstanceOf(TLSSocket)
    })
    await pools.stop()
  })
})
