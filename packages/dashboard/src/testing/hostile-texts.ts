const markup = `"><img data-hostile src=x onerror="globalThis.ran=1"></textarea></script><script data-hostile>globalThis.ran=1</script>{{7*7}}\${7*7}`

/** What is typed into every field: none of it may ever be more than text. The last is one that is taken, where any text is. */
export const hostileTexts: readonly string[] = [
  `javascript:globalThis.ran=1//\uD800\u0000%00\${jndi:x}{"__proto__":{"a":1}}`,
  markup.repeat(80).slice(0, 10_000),
  `${markup}\u202Etxt.exe\u200B 👩‍👩‍👧 é' or 1=1 --`,
]

/** For names of tables and columns, which hold at most 63 bytes. */
export const hostileName = `<img data-hostile src=x onerror=globalThis.ran=1>`

interface Part {
  readonly textContent: string | null
  readonly value: string
  readonly type: string
  readonly tagName: string
  readonly disabled: boolean
  readonly labels: ArrayLike<Part> | null
  readonly elements: Iterable<Part>
  click(): void
  matches(selector: string): boolean
  getAttribute(name: string): string | null
  querySelector(selector: string): Part | null
  querySelectorAll(selector: string): Iterable<Part>
  dispatchEvent(event: unknown): boolean
}

/** What of a page is needed. */
interface HostilePage {
  readonly document: Part & { readonly body: Part }
  readonly Event: new (type: string, options: object) => unknown
  readonly MutationObserver: new (seen: () => void) => { observe(what: unknown, options: object): void }
  requestAnimationFrame(then: () => void): void
  ran?: number
  made?: number
}

/** Before a page loads: sees whatever becomes an element of the page, be it for a moment. For `addInitScript`. */
export const watchElements = (): void => {
  const page = globalThis as unknown as HostilePage
  const look = (): void => {
    if (page.document.querySelector('[data-hostile], [href^="javascript:" i], [src^="javascript:" i]')) page.made = 1
  }
  new page.MutationObserver(look).observe(page.document, { childList: true, subtree: true, attributes: true })
}

/** Whether anything of what was typed ran, and whether any became an element. */
export const whatRan = (): readonly [ran: boolean, made: boolean] => {
  const { ran, made } = globalThis as unknown as HostilePage
  return [ran !== undefined, made !== undefined]
}

export interface TypedField {
  readonly label: string
  /** Of a field that takes any text. */
  readonly kept: string | undefined
}

/** Types the text, given as UTF-16 codes, into every field of the dialog that is open, else of the screen; gives them as they are a moment later. */
export const typeEverywhere = async (codes: readonly number[]): Promise<readonly TypedField[]> => {
  const page = globalThis as unknown as HostilePage
  const { document } = page
  const text = codes.map((code) => String.fromCharCode(code)).join('')
  const dialogs = [...document.querySelectorAll('[role="dialog"]')]
  const scope = dialogs.at(-1) ?? document.querySelector('#screen') ?? document.body
  const fields = [...scope.querySelectorAll('input, textarea, select, [contenteditable]')]
  for (const field of fields) {
    if (field.disabled || field.matches('select')) continue
    // As React sees what a browser types.
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), 'value')?.set?.call(field, text)
    field.dispatchEvent(new page.Event('input', { bubbles: true }))
  }
  const frame = () => new Promise<void>((resolve) => page.requestAnimationFrame(resolve))
  for (let n = 0; n < 3; n++) await frame()
  return fields.map((field) => ({
    label: (field.labels?.[0]?.textContent ?? field.getAttribute('aria-label') ?? '').replace(
      /^Type .* to confirm$/s,
      'Type … to confirm',
    ),
    kept: field.matches('select, [type="number"], [type="date"]') ? undefined : field.value,
  }))
}

/** What Enter does in each form of the dialog that is open, else of the screen. */
export const submitEverywhere = (): void => {
  const { document } = globalThis as unknown as HostilePage
  const dialogs = [...document.querySelectorAll('[role="dialog"]')]
  const scope = dialogs.at(-1) ?? document.querySelector('#screen') ?? document.body
  for (const form of scope.querySelectorAll('form')) [...form.elements].find(({ type }) => type === 'submit')?.click()
}
