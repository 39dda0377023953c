import { describe, expect, it } from 'vitest'
import { useLibrary } from '../testing/use-library.js'

const { get, ask } = useLibrary()

describe('select', () => {
  it('shows all columns, some, casts, JSON paths and aliases, in their order', async () => {
    expect(await get('genres')).toEqual([
      { id: 1, name: 'novel' },
      { id: 2, name: 'nature' },
      { id: 3, name: 'empty' },
    ])
    expect(await get('authors?select=name,id&id=eq.1')).toEqual([{ name: 'Ann', id: 1 }])
    const { result } = await ask(
      'GET /authors?select=id::text,cm:data->size->>cm,data->langs->0,data->langs->>-1,home->>city,tags->1,note,who:name,initials&id=eq.1',
    )
    expect(result.body).toBe(
      '[{"id" : "1", "cm" : "170", "langs" : "en", "langs" : "de", "city" : "Perth", "tags" : "b", "note" : {"b": 1, "a": 2}, "who" : "Ann", "initials" : "A"}]',
    )
  })

  it('spreads, embeds', async () => {
    for (const path of [
      'books?select=title,authors!books_author_id_fkey(name)',
      'books?select=*,author:authors!books_author_id_fkey(name,initials),genres(name)&order=id',
      'authors?select=name,books!books_author_id_fkey(title,sales(amount))&order=id',
      'authors?select=name,books!books_author_id_fkey!inner(title)&books.price=gt.9',
      'books?select=title,...authors!books_author_id_fkey(author:name,mood)',
      'authors?select=name,...books!books_author_id_fkey(title,price)',
      'nodes?select=name,nodes(name),parent_id(name)',
      'authors?select=name,best_book(title),same_mood(name)',
      'authors?select=name,profiles(bio)',
      'books?select=title,authors!books_author_id_fkey()&authors=is.null',
      'books?select=title,authors!books_author_id_fkey(name)&authors=not.is.null&order=authors(name).desc',
      'books?select=author_id,count(),price.sum()&order=author_id',
      'books?select=title,sales(amount.sum(),day)',
      'sales?select=amount.sum(),...books(title)',
      'authors?select=name,books!books_author_id_fkey(count)',
      'genres?select=name,book_genres(...books(title))',
      'books?select=title,...genres(name)',
    ])
      console.log(path, JSON.stringify(await get(path).catch((error) => error)))
  })
})
