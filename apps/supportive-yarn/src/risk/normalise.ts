import { misspellings } from './phrases.js'

type Rewrite = readonly (readonly [RegExp, string])[]

/** Words that are written apart or together, and shorter ways to write them. */
const joined: Rewrite = [
  [/\b(can|don) t\b/g, '$1t'],
  [/\b(want|wants|wanted|wanting|ready) 2\b/g, '$1 to'],
  [/\b(to|wanna) b\b/g, '$1 be'],
  [/\bmy self\b/g, 'myself'],
  [/\bany more\b/g, 'anymore'],
  [/\bno-one\b/g, 'no one'],
  [/\bcan not\b/g, 'cant'],
  [/\bdo not\b/g, 'dont'],
  [/\bwanting to\b/g, 'want to'],
  [/\bwants to\b/g, 'want to'],
  [/\bwanted to\b/g, 'want to'],
  [/\bi am\b/g, 'im'],
]

/** Other forms of phrases of the list, as the list has them. */
const forms: Rewrite = [
  [/\bkilled myself\b/g, 'kill myself'],
  [/\b(?:hanging|hanged|hung) myself\b/g, 'hang myself'],
  [/\bnecking myself\b/g, 'neck myself'],
  [/\b(?:shoot|shooting|stab|stabbing|drown|drowning|poison|poisoning|strangle|strangling) myself\b/g, 'kill myself'],
  [/\bself[ -]?harm(?:ing|ed|er|s)\b/g, 'self harm'],
  [/\b(?:taking|took) my (own )?life\b/g, 'take my $1life'],
  [/\bended my life\b/g, 'end my life'],
  [/\b(?:ending|ended) it all\b/g, 'end it all'],
  [/\b(?:slit|slitting|cut|cutting) my wrists?\b/g, 'slit my wrists'],
  [/\bjump(?:ing|ed)? off (?:a|the|that|this) (?:bridge|cliff|roof|building)\b/g, 'jump off a bridge'],
  [/\b(?:want to|wanna) be dead\b/g, 'want to die'],
  [/\bwant die\b/g, 'want to die'],
  [/\bwish i (?:wasnt|werent) alive\b/g, 'wish i was dead'],
  [/\bwish i(?: was| were|d)? never (?:been )?born\b/g, 'wish i was dead'],
  [/\btired of (?:being alive|life)\b/g, 'tired of living'],
  [/\b(?:isnt|aint) worth living\b/g, 'not worth living'],
  [/\b(?:whats|what is) the point (?:of|in) (?:living|being alive)\b/g, 'no point in living'],
]

/** Marks that stand for an apostrophe. U+00B4 would come apart into a blank and an accent: they go first. */
const apostrophes = /['`\u00b4\u02b9\u02bb-\u02bd\u02c8\u02ca\u02cb\u2018\u2019\u201b\u2032\u2035\ua78c\uff07]/g

/** What is drawn as nothing. */
const invisible = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu

/** Letters of other scripts that look like ours. */
const lookalikes: Readonly<Record<string, string>> = Object.fromEntries(
  [...'\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0455\u0458\u0501\u043a\u0131\u03bf'].map((letter, i) => [
    letter,
    'aceopxyisjdkio'[i]!,
  ]),
)

const plainOf = (message: string): string =>
  message
    .replaceAll(apostrophes, '')
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/[\u0400-\u052f\u0131\u03bf]/g, (letter) => lookalikes[letter] ?? letter)

const rewritten = (text: string, rewrites: Rewrite): string =>
  rewrites.reduce((so, [pattern, by]) => so.replaceAll(pattern, by), text)

const shortened = (word: string, most: string): string => word.replaceAll(/(\p{L})\1{2,}/gu, most)

const righted = (word: string): string => {
  const single = shortened(word, '$1')
  const known = [word, single].find((written) => Object.hasOwn(misspellings, written))
  return known === undefined ? word : misspellings[known]!
}

const wordsOf = (plain: string, most: string): readonly string[] => {
  const text = shortened(plain.replaceAll(/[^\p{L}\p{N}*-]+/gu, ' '), most)
  return rewritten(rewritten(text, joined).replaceAll('-', ' '), forms)
    .split(' ')
    .filter((word) => /[\p{L}\p{N}]/u.test(word))
    .map(righted)
}

/** A message as words: lower case, apostrophes taken out, all other signs as blanks, letters drawn out (diiiie) shortened, misspellings righted. */
export const normalise = (message: string): readonly string[] =>
  wordsOf(plainOf(message).replaceAll(invisible, ' ').replaceAll('*', ' '), '$1')

const signs: Readonly<Record<string, string>> = { '!': 'i', '1': 'i', '|': 'i', '@': 'a', $: 's', '0': 'o', '3': 'e' }

const lettersOf = (spelled: string): string => spelled.replaceAll(/[^\p{L}]/gu, '')

/**
 * Words behind signs (su!cide, $uicide), between invisible characters, or letter by letter (k.m.s), of which the first may be a word of its own
 * (i k.m.s). A star stays, for any one letter.
 */
const uncovered = (plain: string, first: 0 | 1): string =>
  plain
    .replaceAll(invisible, '')
    .replaceAll(/(?<=\p{L})[!1|@$03](?=\p{L})|\$(?=\p{L})/gu, (sign) => signs[sign]!)
    .replaceAll(/(?<![\p{L}\p{N}*])\*|\*(?![\p{L}*])/gu, ' ')
    .replaceAll(
      /(?<![\p{L}\p{N}])\p{L}(?<by>[^\p{L}\p{N}]{1,3})(?:\p{L}\k<by>)+\p{L}(?![\p{L}\p{N}])/gu,
      (spelled) => `${spelled.slice(0, first)} ${lettersOf(spelled.slice(first))}`,
    )

/** Each way to read a message in which a phrase may be found. Of letters drawn out it is not known whether one is meant or two (killll). */
export const readings = (message: string): readonly (readonly string[])[] => {
  const plain = plainOf(message)
  const shown = plain.replaceAll(invisible, ' ').replaceAll('*', ' ')
  const all = [wordsOf(shown, '$1'), ...[shown, uncovered(plain, 0), uncovered(plain, 1)].map((text) => wordsOf(text, '$1$1'))]
  // Mostly they are one.
  return [...new Map(all.map((words) => [words.join(' '), words])).values()]
}
