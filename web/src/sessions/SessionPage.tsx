/** One session: who, from where, to what, how it ended, and the way to its recording. */
import type { ReactNode } from 'react'
import { Link, useParams } from 'react-router'

import { Loading } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { nameOf } from '../app/names'
import { Chip, Facts, PageHead, Refusal } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { useOneSession } from './api'
import { Cut } from './Cut'
import { ReceiptLine, ReceiptState } from './Receipt'
import { Length } from './SessionsPage'
import { Standing, Watchers } from './Standing'

export default function SessionPage() {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const { can } = useSession()
  const { id } = useParams()
  const query = useOneSession(id)
  const session = query.data
  return (
    <>
      <Link to="/sessions" className="back">
        <Icon name="back" />
        {t('sessions.to_list')}
      </Link>
      <Refusal error={query.error} retry={() => void query.refetch()} />
      {query.isLoading ? <Loading /> : null}
      {session ? (
        <>
          <PageHead title={t('sessions.of', { person: nameOf(session.person), target: nameOf(session.target) })}>
            {can(may.cutSession) ? <Cut session={session} /> : null}
            {session.state === 'live' && can(may.watchSession) ? (
              <Link className="button-link" to={`/sessions/${session.id}/live`}>
                <Icon name="eye" />
                {t('sessions.watch')}
              </Link>
            ) : null}
            {session.recording_id && can(may.replayRecording) ? (
              <Link className="button-link" to={`/recordings/${session.recording_id}`}>
                <Icon name="play" />
                {t('sessions.replay')}
              </Link>
            ) : null}
          </PageHead>
          <div className="panel">
            <Facts
              rows={[
                [t('sessions.state_label'), <Standing key="state" session={session} />],
                ...(session.state === 'live'
                  ? [[t('sessions.watchers'), <Watchers key="watchers" session={session} />] as [string, ReactNode]]
                  : []),
                [t('sessions.person'), nameOf(session.person)],
                [t('sessions.device'), nameOf(session.device)],
                [t('sessions.source'), <code key="source">{session.source}</code>],
                [t('sessions.target'), nameOf(session.target)],
                [t('sessions.account'), <code key="account">{session.account}</code>],
                [t('sessions.protocol'), session.protocol.toUpperCase()],
                [t('sessions.started'), format.moment(session.started_at)],
                [t('sessions.ended'), format.moment(session.ended_at)],
                [t('sessions.length'), <Length key="length" session={session} />],
                [
                  t('sessions.recording_health'),
                  <Chip key="health" tone={session.recording_health === 'good' ? 'quiet' : 'bad'}>
                    {tCode('sessions.recording_health', session.recording_health)}
                  </Chip>,
                ],
                [t('sessions.blocked'), format.number(session.commands_blocked)],
                [t('sessions.end'), session.end_reason ? tCode('sessions.end_reason', session.end_reason) : '–'],
                [t('sessions.receipt'), <ReceiptState key="receipt" session={session} />],
                [t('sessions.id'), <code key="id">{session.id}</code>],
              ]}
            />
          </div>
          <ReceiptLine session={session} />
          {session.recording_id && !can(may.replayRecording) ? (
            <p className="muted">{t('sessions.replay_by_auditor')}</p>
          ) : null}
        </>
      ) : null}
    </>
  )
}
