import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

const screensFolder = fileURLToPath(new URL('src/screens', import.meta.url))

/**
 * Writes which files each screen needs, by the name of its folder: the server answers a screen's address with the page, and names its
 * files there, so that they are loaded beside the shell and not after it.
 */
const tellScreens = (): Plugin => ({
  name: 'tell-screens',
  apply: 'build',
  generateBundle(_options, bundle) {
    const chunks = Object.values(bundle).filter((file) => file.type === 'chunk')
    const entry = chunks.find(({ isEntry }) => isEntry)
    const folders = readdirSync(screensFolder, { withFileTypes: true }).filter((found) => found.isDirectory())
    const screens = folders.map(({ name }) => {
      const chunk = chunks.find(({ facadeModuleId }) => facadeModuleId?.startsWith(`${screensFolder}/${name}/`) ?? false)
      if (!chunk) throw new Error(`the table of screens does not load src/screens/${name}`)
      const needed = new Set([chunk.fileName])
      for (const file of needed) {
        const found = bundle[file]
        if (found?.type === 'chunk') for (const imported of found.imports) needed.add(imported)
      }
      const loaded = new Set([entry?.fileName, ...(entry?.imports ?? [])])
      return [name, [...needed].filter((file) => !loaded.has(file))]
    })
    this.emitFile({ type: 'asset', fileName: 'screens.json', source: JSON.stringify(Object.fromEntries(screens)) })
  },
})

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  plugins: [react(), tellScreens()],
  build: {
    target: ['chrome123', 'firefox128', 'safari17.5'],
    // One sheet for all: a screen that comes later is never seen without it.
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // The gate on its size is a test.
    chunkSizeWarningLimit: 600,
  },
})
