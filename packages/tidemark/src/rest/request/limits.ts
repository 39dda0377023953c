/**
 * What a request may ask of the parsers. All of them take time in proportion to what they read; these bound the rest: the stack,
 * and the size of the statement that is made of it.
 */
export const limits = {
  /** Embeds in embeds of `select`, and groups in groups of `and` and `or`. */
  depth: 64,
  /** In the query string, and in a form. */
  parameters: 1_000,
  /** Arrays and objects inside each other, in a JSON body. */
  jsonDepth: 512,
  /** Characters of a value that an error repeats. */
  shown: 4_096,
} as const
