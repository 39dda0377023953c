import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))

const sourcesOf = (folder: string): readonly string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.tsx') && !path.endsWith('.test.tsx'))
    .map((path) => join(root, folder, path))

/** Each stands with its label; the claims have always the same, and a word that is typed to confirm names what it is about. */
const kinds = [
  {
    begin: /<(?:TextField|FilterField|SelectField|TextArea)\b/g,
    label: /<(?:TextField|FilterField|SelectField|TextArea)\s+label="([^"]+)"/g,
  },
  { begin: /<ClaimsField\b/g, label: /<(Claims)Field\b/g, name: () => 'Further claims' },
  { begin: /\btyped=\{|\{ typed: /g, label: /\b(typed)=\{|\{ typed: /g, name: () => 'Type … to confirm' },
  { begin: /<(?:input|textarea|select)\b|contentEditable/g, label: /<(?:input|textarea|select)\b[^>]*?aria-label="([^"]+)"/g },
]

/** The fields of the screens and of the frame, as `folder label`. Raises where one has no label that can be read. */
export const fieldsInSource = (): readonly string[] =>
  [...sourcesOf('screens'), ...sourcesOf('shell')].flatMap((path) => {
    const source = readFileSync(path, 'utf8')
    const place = relative(root, path).split('/')
    const folder = place[0] === 'screens' ? place[1]! : place[0]!
    return kinds.flatMap(({ begin, label, name }) => {
      const labels = [...source.matchAll(label)].map(([, text]) => name?.() ?? text!)
      if (labels.length !== [...source.matchAll(begin)].length)
        throw new Error(`${path} has a field whose label does not come first`)
      return labels.map((text) => `${folder} ${text}`)
    })
  })
