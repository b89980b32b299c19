/** Sessions that run now, and all that ever ran. */
import { Segmented } from 'antd'
import { useState } from 'react'
import { Link } from 'react-router'

import { DataList, type Column } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { nameOf } from '../app/names'
import { Chip, Moment, PageHead } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { useSessions, type Session } from './api'
import { Standing } from './Standing'

type View = 'live' | 'all'

export default function SessionsPage() {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const { can } = useSession()
  const [view, setView] = useState<View>('all')
  const list = useSessions(view === 'live' ? 'live' : undefined)
  const columns: Column<Session>[] = [
    {
      title: t('sessions.target'),
      render: (session) => <Link to={`/sessions/${session.id}`}>{nameOf(session.target)}</Link>,
    },
    { title: t('sessions.account'), render: (session) => <code>{session.account}</code> },
    { title: t('sessions.person'), render: (session) => nameOf(session.person) },
    { title: t('sessions.state_label'), render: (session) => <Standing session={session} /> },
    { title: t('sessions.started'), render: (session) => <Moment at={session.started_at} /> },
    { title: t('sessions.length'), render: (session) => <Length session={session} /> },
    {
      title: t('sessions.blocked'),
      render: (session) =>
        session.commands_blocked > 0 ? (
          <Chip tone="bad" icon="blocked">
            {format.number(session.commands_blocked)}
          </Chip>
        ) : (
          format.number(0)
        ),
    },
    {
      title: t('sessions.end'),
      render: (session) => (session.end_reason ? tCode('sessions.end_reason', session.end_reason) : '–'),
      wide: true,
    },
  ]
  if (can(may.watchSession)) {
    columns.push({
      title: '',
      render: (session) =>
        session.state === 'live' ? (
          <Link className="button-link button-small" to={`/sessions/${session.id}/live`}>
            <Icon name="eye" size={16} />
            {t('sessions.watch')}
          </Link>
        ) : null,
    })
  }
  return (
    <>
      <PageHead title={t('sessions.sessions')} lead={t('sessions.lead')} />
      <Segmented<View>
        className="views"
        value={view}
        onChange={setView}
        options={[
          { value: 'all', label: t('sessions.all') },
          { value: 'live', label: t('sessions.live') },
        ]}
      />
      <DataList
        label={t('sessions.sessions')}
        list={list}
        columns={columns}
        rowKey={(session) => session.id}
        search={(session) => [nameOf(session.target), nameOf(session.person), nameOf(session.device), session.account, session.source, session.id]}
        empty={t(view === 'live' ? 'sessions.none_live' : 'sessions.none')}
      />
    </>
  )
}

export function Length({ session }: { session: Session }) {
  const format = useFormat()
  if (!session.started_at) return '–'
  const end = session.ended_at ? Date.parse(session.ended_at) : Date.now()
  return format.duration((end - Date.parse(session.started_at)) / 1000)
}
