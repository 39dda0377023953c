import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { extname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'vite'

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const sample = at('../../../../samples/live-list/')
const types: Readonly<Record<string, string>> = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' }

/** The sample as somebody builds it, with the packages as they are published, on an origin of its own. */
export interface BuiltSample {
  readonly url: string
  stop(): Promise<void>
}

/** Raises where it does not compile: what the compiler says. */
const check = async (folder: string): Promise<void> => {
  const config = {
    extends: join(sample, 'tsconfig.json'),
    compilerOptions: {
      rootDir: '/',
      typeRoots: [],
      paths: { '@tidemark/client': [at('../../dist/index.d.ts')], '@tidemark/client/react': [at('../../dist/react/index.d.ts')] },
    },
    include: [join(sample, 'src')],
  }
  const file = join(folder, 'tsconfig.json')
  await writeFile(file, JSON.stringify(config))
  await promisify(execFile)(at('../../../../node_modules/.bin/tsc'), ['-p', file]).catch(
    (error: { readonly stdout?: string }) => {
      throw new Error(error.stdout, { cause: error })
    },
  )
}

const serve = (folder: string): Promise<Server> =>
  new Promise((resolve) => {
    const server = createServer(async (request, response) => {
      const path = join(folder, request.url === '/' ? 'index.html' : String(request.url))
      const body = relative(folder, path).startsWith('..') ? undefined : await readFile(path).catch(() => undefined)
      response.writeHead(body ? 200 : 404, { 'content-type': types[extname(path)] ?? 'application/octet-stream' }).end(body)
    })
    server.listen(0, '127.0.0.1', () => resolve(server))
  })

export const buildSample = async ({ url, anonKey }: { readonly url: string; readonly anonKey: string }): Promise<BuiltSample> => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-sample-'))
  await check(folder)
  await build({
    root: sample,
    configFile: join(sample, 'vite.config.ts'),
    logLevel: 'error',
    resolve: {
      alias: [
        { find: /^@tidemark\/client\/react$/, replacement: at('../../dist/react/index.js') },
        { find: /^@tidemark\/client$/, replacement: at('../../dist/index.js') },
      ],
    },
    define: {
      'import.meta.env.VITE_SUPABASE_URL': JSON.stringify(url),
      'import.meta.env.VITE_SUPABASE_ANON_KEY': JSON.stringify(anonKey),
      'import.meta.env': JSON.stringify({ VITE_SUPABASE_URL: url, VITE_SUPABASE_ANON_KEY: anonKey }),
    },
    build: { outDir: join(folder, 'built'), emptyOutDir: true },
  })
  const server = await serve(join(folder, 'built'))
  const { port } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${port}/`,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
