/** An array as Postgres writes it, of any number of dimensions. */
export type ArrayTree = readonly (string | null | ArrayTree)[]

/** Takes apart `{a,"b,c",NULL,{…}}`; bounds in front (`[0:1]=`) are passed over. undefined where the text is no array. */
export const parseArrayText = (text: string): ArrayTree | undefined => {
  const start = text.startsWith('[') ? text.indexOf('={') + 1 : 0
  if (text[start] !== '{' || !text.endsWith('}')) return undefined
  let at = start

  const quoted = (): string => {
    let value = ''
    for (at += 1; at < text.length && text[at] !== '"'; at += 1) {
      if (text[at] === '\\') at += 1
      value += text[at] ?? ''
    }
    at += 1
    return value
  }
  const plain = (): string | null => {
    const from = at
    while (at < text.length && text[at] !== ',' && text[at] !== '}') at += text[at] === '\\' ? 2 : 1
    const value = text.slice(from, at)
    return /^null$/i.test(value) ? null : value.replace(/\\(.)/gs, '$1')
  }
  const list = (): ArrayTree => {
    const values: (string | null | ArrayTree)[] = []
    at += 1
    while (at < text.length && text[at] !== '}') {
      if (text[at] === '{') values.push(list())
      else values.push(text[at] === '"' ? quoted() : plain())
      if (text[at] === ',') at += 1
    }
    at += 1
    return values
  }
  return list()
}
