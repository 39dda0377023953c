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

const yes = /^(?:yes|yeah|yea|yep|yup|ya|sure|ok|okay|continue|keep going|go on|lets go|carry on|please|im ok|im okay)\b/
const counsellor = /\b(?:counsell?or|someone|person|talk to|speak|help|call|no)\b/

/** What someone wants who was asked whether to go on. */
export const wishOf = (message: string): 'continue' | 'counsellor' | 'unclear' => {
  const said = normalise(message).join(' ')
  if (counsellor.test(said) && !yes.test(said)) return 'counsellor'
  return yes.test(said) ? 'continue' : 'unclear'
}
