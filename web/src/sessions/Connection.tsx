/** Whether what is shown is what happens: joining, live, interrupted and why, over. */
import { Alert } from 'antd'
import { Link } from 'react-router'

import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import type { Session } from './api'
import type { WatchState } from './useWatch'

export function Connection({ line, interrupted, session }: WatchState & { session: Session }) {
  const { t, tCode, tProblem } = useI18n()
  const format = useFormat()
  const why = (code: string) => tCode('sessions.interrupted', code.replace('sessions.', ''), {}, t('sessions.interrupted.lost'))
  return (
    <div className="connection" role="status" aria-live="polite">
      {line.state === 'joining' || line.state === 'history' ? (
        <Alert type="info" title={t(line.state === 'joining' ? 'sessions.joining' : 'sessions.history')} />
      ) : null}
      {line.state === 'broken' ? <Alert type="error" title={t('sessions.not_watching')} description={why(line.why)} /> : null}
      {line.state === 'live' && interrupted ? (
        <Alert
          type="warning"
          closable
          key={interrupted.at.getTime()}
          title={t('sessions.joined_again', { at: format.clock(interrupted.at) })}
          description={why(interrupted.why)}
        />
      ) : null}
      {line.state === 'refused' ? <Alert type="error" title={tProblem(line.problem)} /> : null}
      {line.state === 'over' ? <Over session={session} /> : null}
    </div>
  )
}

function Over({ session }: { session: Session }) {
  const { t, tCode } = useI18n()
  const { can } = useSession()
  return (
    <Alert
      type="info"
      title={t('sessions.over')}
      description={
        <>
          {session.end_reason ? <p>{tCode('sessions.end_reason', session.end_reason)}</p> : null}
          {session.recording_id && can(may.replayRecording) ? (
            <Link className="button-link" to={`/recordings/${session.recording_id}`}>
              <Icon name="play" />
              {t('sessions.replay')}
            </Link>
          ) : (
            <Link to={`/sessions/${session.id}`}>{t('sessions.to_session')}</Link>
          )}
        </>
      }
    />
  )
}
