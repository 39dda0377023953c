// What people and programs do with the applications on a first day, over HTTP as they would do it. The same every time.
import { createRandom } from '../../packages/tidemark/src/testing/random.ts'

export interface Door {
  readonly url: string
  /** Of the service role. */
  readonly token: string
}

/** Raises where it is refused. */
const post = async <T>({ url, token }: Door, path: string, body: unknown): Promise<T> => {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`POST ${path} was answered with ${response.status}: ${(await response.text()).slice(0, 300)}`)
  return (await response.json()) as T
}

const people = ['my nan and my uncle', 'my cousin, we talk every arvo', 'mum, and my footy coach', 'idk']
const strengths = ['footy and drawing', 'being out on country', 'music, mostly', 'looking after my little brother']
const worries = ['school is hard', 'we moved here from Darwin and I know nobody', 'not much', 'money at home']
const goals = ['finish year 10', 'get my licence', 'see my family in Cairns', 'sleep before midnight']

/** Yarns that got differently far; in one somebody says what is answered with helplines. */
export const fillYarns = async (door: Door): Promise<void> => {
  const random = createRandom(1)
  for (let yarn = 0; yarn < 12; yarn++) {
    const words = ['hey there', random.pick(people), random.pick(strengths), random.pick(worries), random.pick(goals)]
    const said = yarn === 4 ? [...words.slice(0, 3), 'i cant go on, wanna die'] : words.slice(0, 1 + (yarn % words.length))
    let session: string | undefined
    for (const message of said)
      session = (await post<{ session_id: string }>(door, '/chat', { message, ...(session && { session_id: session }) }))
        .session_id
  }
}

const questions = [
  [
    'Which suburbs of Brisbane flood?',
    'Parts of Rocklea, Graceville and the West End did in 2011 and in 2022; look at the council’s flood map.',
  ],
  ['Rent or buy in Toronto this year?', 'That hangs on how long you stay. Shall we go through the numbers?'],
  ['Write to the strata about the noise 🙏', 'Dear committee, since March the pump below unit 4 …'],
  ['Wie heißt das auf Englisch: Grundbuch?', 'Land title register.'],
  ['When does the sun set in Darwin in November?', 'At about seven in the evening.'],
] as const

/** Chats of one user; the message of one was sent twice, as an impatient client does. */
export const fillChats = async (door: Door): Promise<void> => {
  const random = createRandom(2)
  for (let chat = 0; chat < 10; chat++) {
    const [question, answer] = random.pick(questions)
    const { id } = await post<{ id: string }>(door, '/chats', { title: question })
    const asked = { content: question, client_message_id: `first-${chat}` }
    await post(door, `/chats/${id}/messages`, asked)
    if (chat === 3) await post(door, `/chats/${id}/messages`, asked)
    await post(door, `/chats/${id}/messages`, { content: answer, role: 'assistant' })
    if (chat % 3 === 0) await post(door, `/chats/${id}/messages`, { content: 'Thanks!' })
  }
}

export const agents = [
  { agent_id: 'quiz-1', agent_type: 'quiz_generator' },
  { agent_id: 'writer-1', agent_type: 'content_generator' },
  { agent_id: 'reviewer-1', agent_type: 'code_reviewer' },
] as const

/** Agents and what is asked of them; one task is of a kind that nobody does, and waits. */
export const fillAgents = async (door: Door): Promise<void> => {
  const random = createRandom(3)
  for (const agent of agents) await post(door, '/api/v1/agent-instances', agent)
  for (let task = 0; task < 24; task++)
    await post(door, '/api/v1/tasks', {
      agent_type: task === 7 ? 'terrain_generator' : random.pick(agents).agent_type,
      task_type: random.pick(['quiz', 'lesson', 'review']),
      input: { topic: random.pick(['fractions', 'the Yukon', 'mangroves', 'treaties']), number: task },
      priority: random.pick(['low', 'normal', 'high', 'critical']),
      max_retries: 1,
    })
}
