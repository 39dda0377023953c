// `npm run sbom -- --out sbom.cdx.json`: what is installed with the packages, as CycloneDX, from the lock file. It goes beside a release and is not committed.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseOptions, toVerdict } from '../options.ts'
import { root } from '../repository.ts'

const usage = `npm run sbom -- [options]
  --out <file>   where it is written (default: sbom.cdx.json, which is not committed)`

interface Bom {
  readonly metadata: { readonly component: { name: string } }
  readonly components: readonly { readonly name: string }[]
}

await toVerdict(async () => {
  const values = parseOptions(usage, { out: { type: 'string' } })
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--omit', 'dev', '--package-lock-only']
  const bom = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 27 })) as Bom
  // npm names it by the folder of the checkout.
  bom.metadata.component.name = 'tidemark'
  const out = resolve(root, String(values['out'] ?? 'sbom.cdx.json'))
  writeFileSync(out, `${JSON.stringify(bom, undefined, 2)}\n`)
  console.log(`wrote ${out}: ${bom.components.length} components`)
  return true
})
