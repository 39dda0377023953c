import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Something that looks like a secret, in a file that is committed. */
export interface Found {
  readonly path: string
  readonly line: number
  /** What it looks like. */
  readonly kind: string
}

/** Forms that say by themselves what they are, so that ordinary text is not taken for one. */
const kinds: readonly (readonly [kind: string, form: RegExp])[] = [
  ['a private key', /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/],
  ['a key of AWS', /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/],
  ['a token of GitHub', /\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})\b/],
  [
    'a token of Slack',
    /\bxox[abposr]-[A-Za-z0-9-]{20,}\b|hooks\.slack\.com\/services\/T[A-Z0-9]{8,}\/B[A-Z0-9]{8,}\/[A-Za-z0-9]{20,}/,
  ],
  ['a live key of Stripe', /\b[rs]k_live_[A-Za-z0-9]{16,}\b/],
  ['a key of Google', /\bAIza[0-9A-Za-z_-]{35}\b/],
  ['a token of npm', /\bnpm_[A-Za-z0-9]{36}\b/],
  ['a key of OpenAI or Anthropic', /\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}\b/],
  ['a secret key of Supabase', /\bsb_secret_[A-Za-z0-9_-]{20,}\b|\bsbp_[a-f0-9]{40}\b/],
  ['a signed token', /\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{20,}\b/],
  [
    'a connection string of a service',
    /\b(?:postgres(?:ql)?|rediss?):\/\/[^\s:@/'"`]+:[^\s@/'"`$<{]{12,}@[\w.-]+\.(?:supabase\.(?:co|com)|neon\.tech|upstash\.io|amazonaws\.com)/,
  ],
]

/** What looks like a secret in one file. */
export const secretsIn = (path: string, text: string): readonly Found[] =>
  text
    .split('\n')
    .flatMap((content, at) => kinds.filter(([, form]) => form.test(content)).map(([kind]) => ({ path, line: at + 1, kind })))

/** What looks like a secret in all that is committed or about to be. */
export const committedSecrets = (root: string): readonly Found[] => {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  })
  return listed
    .split('\0')
    .filter((path) => path !== '' && !/\.(?:png|db|ico|woff2)$|(?:^|\/)package-lock\.json$/.test(path))
    .flatMap((path) => {
      try {
        return secretsIn(path, readFileSync(join(root, path), 'utf8'))
      } catch {
        // Listed and removed since.
        return []
      }
    })
}
