/** Text inside a table's cell: a bar would end the cell, and an angle bracket outside of code could begin a tag. */
export const cell = (text: string): string =>
  text
    .replaceAll('|', '\\|')
    .replaceAll('\n', ' ')
    .replace(/(`[^`]*`)|</g, (_whole, code?: string) => code ?? '&lt;')

/** A table in GitHub's form. Cells are Markdown already. */
export const table = (heads: readonly string[], rows: readonly (readonly string[])[]): string =>
  [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

/** Text without its fenced blocks and code spans, in which nothing is a link or a heading. */
const withoutCode = (markdown: string): string =>
  markdown.replace(/^(```|~~~)[\s\S]*?^\1[^\n]*$/gm, '').replace(/`[^`\n]*`/g, '``')

/** The anchors of a page's headings, as GitHub makes them. */
export const anchorsOf = (markdown: string): ReadonlySet<string> => {
  const anchors = new Set<string>()
  const page = markdown.replace(/^(```|~~~)[\s\S]*?^\1[^\n]*$/gm, '')
  for (const [, heading] of page.matchAll(/^#{1,6}\s+(.+?)\s*#*$/gm)) {
    const words = heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const slug = words.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-')
    let anchor = slug
    for (let again = 1; anchors.has(anchor); again++) anchor = `${slug}-${again}`
    anchors.add(anchor)
  }
  return anchors
}

/** The targets of a page's inline links, images and reference definitions. */
export const linksOf = (markdown: string): readonly string[] => {
  const page = withoutCode(markdown)
  const inline = [...page.matchAll(/\]\(\s*<?([^()\s>]+(?:\([^()\s]*\)[^()\s>]*)?)>?(?:\s+"[^"]*")?\s*\)/g)]
  const references = [...page.matchAll(/^\s{0,3}\[[^\]]+\]:\s+<?(\S+?)>?(?:\s|$)/gm)]
  return [...inline, ...references].map((match) => match[1]!)
}
