import { Link } from '@tanstack/react-router'
import { useSession } from '../api/session.ts'
import { type Screen, screens } from '../screens/screens.ts'

const groups: readonly Screen['group'][] = ['System', 'Data', 'Operations']

/** All screens, by what they are about. */
export const Navigation = ({ onChosen }: { readonly onChosen?: () => void }) => {
  const { data: session } = useSession()
  return (
    <nav className="side" aria-label="Screens">
      <div className="brand">
        <img src="/icon.svg" alt="" />
        Tidemark
      </div>
      {groups.map((group) => {
        const members = screens.filter((screen) => screen.group === group)
        if (members.length === 0) return null
        return (
          <div key={group}>
            {group !== 'System' && <h2>{group}</h2>}
            <ul>
              {members.map(({ name, path, title, icon: Icon }) => (
                <li key={name}>
                  <Link to={path} activeOptions={{ exact: true, includeSearch: false }} {...(onChosen && { onClick: onChosen })}>
                    <Icon size={16} strokeWidth={1.8} aria-hidden />
                    {title}
                  </Link>
                </li>
              ))}
            </ul>
          </div>
        )
      })}
      {session && (
        <p className="foot">
          {session.environment} · {session.version}
        </p>
      )}
    </nav>
  )
}
