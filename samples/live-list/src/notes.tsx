import { useLiveQuery, useMutation } from '@tidemark/client/react'

export const Notes = () => {
  const { rows, state, idOf, isPending } = useLiveQuery('notes', { order: { id: 'desc' }, limit: 50 })
  const add = useMutation('notes', 'insert')
  return (
    <form action={(form) => add.mutate({ text: String(form.get('text')) })}>
      <input name="text" aria-label="Note" placeholder="Write a note" autoComplete="off" />
      <output>{state}</output>
      {add.error && <p role="alert">{add.error.message}</p>}
      <ul>
        {rows.map((note) => (
          <li key={idOf(note)} className={isPending(note) ? 'pending' : 'there'}>
            {note.text}
          </li>
        ))}
      </ul>
    </form>
  )
}
