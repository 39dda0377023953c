/**
 * What is listened for. Words stand as {@link normalise} leaves them: lower case, no apostrophes. A phrase matches its words in order, with at
 * most one other word between two of them. Single words that mean something else most of the time (plan, car, sorry, alone) stand in no list.
 */

export const severities = ['high', 'medium'] as const
export type Severity = (typeof severities)[number]

/** Said about taking or harming one's own life: always answered, whatever stands around it. */
const high = [
  'suicide',
  'suicidal',
  'kill myself',
  'killing myself',
  'kms',
  'neck myself',
  'hang myself',
  'hurt myself',
  'hurting myself',
  'harm myself',
  'harming myself',
  'cut myself',
  'cutting myself',
  'self harm',
  'selfharm',
  'end my life',
  'ending my life',
  'end it all',
  'take my own life',
  'take my life',
  'want to die',
  'wanna die',
  'ready to die',
  'wish i was dead',
  'wish i were dead',
  'rather be dead',
  'better off dead',
  'better off without me',
  'dont want to live',
  'dont wanna live',
  'dont want to be alive',
  'dont wanna be alive',
  'dont want to be here anymore',
  'dont wanna be here anymore',
  'dont want to exist',
  'no reason to live',
  'not worth living',
  'nothing to live for',
  'cant go on',
  'overdose',
  'jump off a bridge',
  'slit my wrists',
  'top myself',
  'off myself',
  'end myself',
  'burn myself',
  'burning myself',
  'dont want to wake up',
  'dont wanna wake up',
  'never wake up',
  'tired of living',
  'sick of living',
  'no point living',
  'no point in living',
  'no point being alive',
]

const medium = [
  'hopeless',
  'worthless',
  'no hope',
  'no one cares',
  'noone cares',
  'nobody cares',
  'cant cope',
  'cannot cope',
  'cant take it anymore',
  'cant do this anymore',
  'want to disappear',
  'wanna disappear',
  'hate myself',
  'hate my life',
  'give up on life',
  'giving up on life',
  'no way out',
  'no point in anything',
  'no point anymore',
  'everyone hates me',
]

/** How some of the words are written by many; what stands on the right is what is meant. */
export const misspellings: Readonly<Record<string, string>> = {
  suicde: 'suicide',
  sucide: 'suicide',
  suiside: 'suicide',
  suicid: 'suicide',
  suiciadal: 'suicidal',
  worthles: 'worthless',
  hopless: 'hopeless',
  cnt: 'cant',
  cannot: 'cant',
  dnt: 'dont',
  mself: 'myself',
  meself: 'myself',
  myslef: 'myself',
  wana: 'wanna',
  overdosing: 'overdose',
  unalive: 'suicide',
  unaliving: 'suicide',
  unalived: 'suicide',
}

/** Words that are one letter away from one above, and mean what they say. */
export const innocentWords: ReadonlySet<string> = new Set([
  'homeless',
  'overdone',
  'cutting',
  'killing',
  'living',
  'loving',
  'anyone',
  'learning',
  'turning',
])

export interface Phrase {
  readonly text: string
  readonly words: readonly string[]
  readonly severity: Severity
}

const phrase =
  (severity: Severity) =>
  (text: string): Phrase => ({ text, words: text.replaceAll('cannot', 'cant').split(' '), severity })

/** The high ones first. */
export const phrases: readonly Phrase[] = [...high.map(phrase('high')), ...medium.map(phrase('medium'))]
