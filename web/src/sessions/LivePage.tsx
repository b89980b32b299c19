/** A session under way, from its beginning and at its living end, and the plant's hand on it. */
import { Select } from 'antd'
import { useCallback, useRef } from 'react'
import { useQueryClient } from '@tanstack/react-query'
import { Link, useParams } from 'react-router'

import { Loading } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { nameOf } from '../app/names'
import { Facts, PageHead, Refusal } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { EventPanel } from '../recordings/EventPanel'
import { SESSIONS, useOneSession, type Session } from './api'
import { Cut } from './Cut'
import { Hold } from './Hold'
import { Connection } from './Connection'
import { Message } from './Message'
import { Reel } from './Reel'
import { Screen, type ScreenHandle } from './Screen'
import { Standing, Watchers } from './Standing'
import { useShow } from './useShow'
import { useWatch } from './useWatch'

export default function LivePage() {
  const { t } = useI18n()
  const { can } = useSession()
  const { id } = useParams()
  const query = useOneSession(id, { live: true })
  const session = query.data
  return (
    <>
      <Link to={`/sessions/${id}`} className="back">
        <Icon name="back" />
        {t('sessions.to_session')}
      </Link>
      <Refusal error={query.error} retry={() => void query.refetch()} />
      {query.isLoading ? <Loading /> : null}
      {session ? (
        <>
          <PageHead
            title={t('sessions.of', { person: nameOf(session.person), target: nameOf(session.target) })}
            lead={t('sessions.watch_lead')}
          >
            {can(may.freezeSession) ? <Hold session={session} /> : null}
            {can(may.cutSession) ? <Cut session={session} /> : null}
          </PageHead>
          <Watch key={session.id} session={session} />
        </>
      ) : null}
    </>
  )
}

function Watch({ session }: { session: Session }) {
  const { t } = useI18n()
  const format = useFormat()
  const { can } = useSession()
  const client = useQueryClient()
  const screen = useRef<ScreenHandle>(null)
  const show = useShow(screen)
  const onTurn = useCallback(() => void client.invalidateQueries({ queryKey: [SESSIONS] }), [client])
  const { line, interrupted } = useWatch(session.id, {
    enabled: true,
    film: show.film,
    onFrames: show.grown,
    onTurn,
  })
  const began = session.started_at ? Date.parse(session.started_at) : undefined
  const terminals = show.film.channels.filter((channel) => channel.kind !== 'subsystem')
  return (
    <>
      <div className="panel standing-panel">
        <Standing session={session} />
        <Facts
          rows={[
            [t('sessions.watchers'), <Watchers key="watchers" session={session} />],
            ...(session.frozen ? [[t('sessions.held_since'), `${format.moment(session.frozen.at)} – ${session.frozen.reason}`] as [string, string]] : []),
            [t('sessions.until'), format.moment(session.not_after)],
          ]}
        />
      </div>
      <Connection line={line} interrupted={interrupted} session={session} />
      <div className="theatre">
        <div>
          {terminals.length > 1 ? (
            <label className="row channels">
              <span>{t('sessions.channel')}</span>
              <Select
                size="small"
                value={show.channel}
                onChange={show.chooseChannel}
                popupMatchSelectWidth={false}
                options={terminals.map(({ number, kind, text }) => ({
                  value: number,
                  label: `${number} · ${kind === 'shell' ? t('sessions.channel_shell') : text}`,
                }))}
              />
            </label>
          ) : null}
          <div className={line.state === 'live' || line.state === 'over' ? 'stage' : 'stage stage-dark'}>
            <Screen ref={screen} label={t('sessions.screen')} />
          </div>
          <Reel show={show} began={began} isOver={line.state === 'over' || session.state !== 'live'} />
          {can(may.messageSession) ? <Message session={session} /> : null}
        </div>
        <EventPanel events={show.film.moments} error={null} began={began} onSeek={show.lookAt} />
      </div>
    </>
  )
}
