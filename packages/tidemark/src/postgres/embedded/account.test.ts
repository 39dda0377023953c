import { describe, expect, it } from 'vitest'
import { chooseAccount } from './account.js'

const root = 'root:x:0:0:root:/root:/bin/sh'
const postgres = 'postgres:x:101:102::/var/lib/postgresql:/bin/sh'

describe('the account of a server started by root', () => {
  it('is uid 65534 where the system knows it, whatever its name', () => {
    expect(chooseAccount(`${root}\n${postgres}\nnfsnobody:x:65534:65533::/:/bin/false\n`)).toEqual({ uid: 65534, gid: 65533 })
  })

  it('is else one that is known to have no rights', () => {
    expect(chooseAccount(`${root}\n${postgres}\nnobody:x:99:99::/:/bin/false`)).toEqual({ uid: 99, gid: 99 })
    expect(chooseAccount(`${root}\n${postgres}`)).toEqual({ uid: 101, gid: 102 })
  })

  it('is never root, and never somebody else', () => {
    expect(
      chooseAccount(`${root}\nnobody:x:0:0::/:/bin/false\nann:x:1000:1000::/home/ann:/bin/sh\nbroken line\n`),
    ).toBeUndefined()
    expect(chooseAccount('')).toBeUndefined()
  })
})
