import { isTidemarkError } from '../../errors.js'
import { renewed } from '../../redis/redis-error.js'

interface Waiting<Q, A> {
  readonly question: Q
  readonly resolve: (answer: A) => void
  readonly reject: (error: unknown) => void
}

/**
 * When what was gathered leaves. `tick`: when all continuations of the present callback have run, so that replies that came together are
 * followed by commands that go together, and nobody waits longer. `turn`: when the replies that lie on all sockets have been read as well.
 */
export type Departure = 'tick' | 'turn'

/** Answers in the order of the questions; an error is that question's own. */
export type AskTogether<Q, A> = (questions: readonly Q[]) => Promise<readonly (A | Error)[]>

let leaving: (() => void)[] = []

/** In one callback for all who send: what goes to one server then leaves in one write. */
const atEndOfTurn = (send: () => void): void => {
  if (leaving.push(send) > 1) return
  setImmediate(() => {
    const all = leaving
    leaving = []
    for (const each of all) each()
  })
}

/** Sends together what is asked one by one: it costs Redis and both ends of the line far less. */
export class Gathered<Q, A> {
  readonly #ask: AskTogether<Q, A>
  readonly #departure: Departure
  #waiting: Waiting<Q, A>[] = []

  constructor(ask: AskTogether<Q, A>, departure: Departure) {
    this.#ask = ask
    this.#departure = departure
  }

  ask(question: Q): Promise<A> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ question, resolve, reject }) > 1) return
      if (this.#departure === 'tick') process.nextTick(() => this.#send())
      else atEndOfTurn(() => this.#send())
    })
  }

  #send(): void {
    const waiting = this.#waiting
    this.#waiting = []
    this.#ask(waiting.map(({ question }) => question)).then(
      (answers) => {
        waiting.forEach(({ resolve, reject }, index) => {
          const answer = answers[index]!
          if (answer instanceof Error) reject(answer)
          else resolve(answer)
        })
      },
      (error: unknown) => {
        for (const { reject } of waiting) reject(isTidemarkError(error) ? renewed(error) : error)
      },
    )
  }
}
