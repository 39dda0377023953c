import { KeyRound } from 'lucide-react'
import { type FormEvent, useState } from 'react'
import { useSignIn } from '../api/session.ts'
import { Button } from '../parts/button.tsx'
import { Command } from '../parts/copy-text.tsx'
import { ErrorNote } from '../parts/error-note.tsx'
import { TextField } from '../parts/field.tsx'
import { Tabs } from '../parts/tabs.tsx'

type Way = 'token' | 'user'

const TokenForm = () => {
  const signIn = useSignIn()
  const [token, setToken] = useState('')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    signIn.mutate({ token: token.trim() })
  }
  return (
    <form onSubmit={submit}>
      <TextField
        label="Admin token"
        type="password"
        value={token}
        onChange={(event) => setToken(event.target.value)}
        hint="It is checked once and not kept in this browser. This shows it, in the project's folder:"
        autoFocus
        required
      />
      <Command text="npx tidemark status --show-keys" />
      {signIn.error && <ErrorNote error={signIn.error} />}
      <Button type="submit" kind="primary" icon={KeyRound} isBusy={signIn.isPending} disabled={token.trim() === ''}>
        Sign in
      </Button>
    </form>
  )
}

const UserForm = () => {
  const signIn = useSignIn()
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    signIn.mutate({ email: email.trim(), password })
  }
  return (
    <form onSubmit={submit}>
      <TextField
        label="Email"
        type="email"
        autoComplete="username"
        value={email}
        onChange={(event) => setEmail(event.target.value)}
        required
      />
      <TextField
        label="Password"
        type="password"
        autoComplete="current-password"
        value={password}
        onChange={(event) => setPassword(event.target.value)}
        hint="For users whose app_metadata has the role admin, or a tidemark_role."
        required
      />
      {signIn.error && <ErrorNote error={signIn.error} />}
      <Button type="submit" kind="primary" icon={KeyRound} isBusy={signIn.isPending} disabled={email === '' || password === ''}>
        Sign in
      </Button>
    </form>
  )
}

/** Stands where the screen would be; the address stays, so that one lands where one wanted to go. */
export const SignIn = () => {
  const [way, setWay] = useState<Way>('token')
  return (
    <main className="sign-in">
      <div className="card">
        <div className="brand">
          <img src="/icon.svg" alt="" />
          <h1>Tidemark</h1>
        </div>
        <Tabs<Way>
          label="How to sign in"
          value={way}
          onChange={setWay}
          tabs={[
            { value: 'token', label: 'Admin token', content: <TokenForm /> },
            { value: 'user', label: 'User', content: <UserForm /> },
          ]}
        />
      </div>
    </main>
  )
}
