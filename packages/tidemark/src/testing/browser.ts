import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { BrowserContext } from 'playwright-core'

const names = ['chromium', 'chromium-browser', 'google-chrome']

/** The browser of this machine; undefined where there is none. */
export const findBrowser = (): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find(existsSync)

const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
]

export interface TestBrowser {
  /** As one who came for the first time. */
  open(options?: { readonly bypassCSP?: boolean; readonly colorScheme?: 'light' | 'dark' }): Promise<BrowserContext>
  stop(): Promise<void>
}

/** Starts a browser that nobody sees, with folders of its own. */
export const startBrowser = async (executablePath: string): Promise<TestBrowser> => {
  const { chromium } = await import('playwright-core')
  const home = await mkdtemp(join(tmpdir(), 'tidemark-browser-'))
  const env = { PATH: process.env['PATH'] ?? '', HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home }
  const browser = await chromium.launch({ executablePath, headless: true, args, env }).catch(async (error: unknown) => {
    await rm(home, { recursive: true, force: true })
    throw error
  })
  return {
    open: (options = {}) => browser.newContext(options),
    stop: async () => {
      await browser.close()
      await rm(home, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
