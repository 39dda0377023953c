import type { EventDetail } from 'tidemark/admin'
import { Since } from '../../parts/since.tsx'
import { pretty } from './pretty.ts'

/** The bodies that operators wrote in place of what came, the newest first. */
export const Edits = ({ edits }: Pick<EventDetail, 'edits'>) =>
  edits.length > 0 && (
    <>
      <h3>Edited bodies</h3>
      {edits.map((edit) => (
        <details key={edit.replayId}>
          <summary>
            {edit.actor}, <Since at={edit.at} />
          </summary>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by the keyboard. */}
          <pre className="code" tabIndex={0}>
            {pretty(edit)}
          </pre>
        </details>
      ))}
    </>
  )
