/** What an answer to a step comes to, by rules alone. */
import { normalise } from '../risk/normalise.js'

export type Understanding = 'clear' | 'none' | 'unclear'

const unclearAnswers = new Set(
  (
    'idk|idek|dunno|dont know|i dont know|im not sure|not sure|unsure|no idea|no clue|um|umm|uh|hm|hmm|huh|what|wdym|' +
    'what do you mean|maybe|whatever|ok|okay|k|yes|yeah|yep|nah|no|pass|skip|blah|lol|test|asdf|hi|hello|hey'
  ).split('|'),
)

const noneAnswers =
  /^(?:(?:ive |i have |have |got |ive got |i got |theres )?(?:no one|noone|nobody|none|nothing|no (?:worries|strengths|goals|support people|support|people|friends))(?: really| much| at all| comes to mind)?)$/

/** `none`: nobody, nothing, no worries; an answer of its own. */
export const understand = (message: string): Understanding => {
  const said = normalise(message).join(' ')
  if (noneAnswers.test(said)) return 'none'
  return said.length < 2 || unclearAnswers.has(said) ? 'unclear' : 'clear'
}

const yes = /^(?:yes|yeah|yea|yep|yup|ya|sure|ok|okay|please|im ok|im okay)\b/
const no = /\b(?:no|nah|nope)\b/
const goingOn = /\b(?:continue|(?:keep|carry) (?:going|on|yarning|talking)|(?:lets|go|move) (?:go|on))\b/
const notGoingOn = /\b(?:dont|not|cant|stop)\b.*\b(?:continue|keep|carry|go|move)\b/
const counsellor =
  /\b(?:counsell?ors?|some ?one|somebody|person|people|talk (?:to|with)|speak(?:ing)?|help|call|ring|phone|numbers?)\b/

/** What someone wants who was asked whether to go on. Whoever asks for a person gets the numbers, also where they say yes to that. */
export const wishOf = (message: string): 'continue' | 'counsellor' | 'unclear' => {
  const said = normalise(message).join(' ')
  const asksForSomeone = counsellor.test(said)
  if (goingOn.test(said) && !notGoingOn.test(said) && (!asksForSomeone || no.test(said))) return 'continue'
  if (asksForSomeone || no.test(said)) return 'counsellor'
  return yes.test(said) ? 'continue' : 'unclear'
}
