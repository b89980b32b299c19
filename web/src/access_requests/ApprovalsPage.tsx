/** Requests that wait for a decision. Beside each other where there is room; one request per screen on a phone. */
import { Segmented } from 'antd'
import { useState } from 'react'
import { Link, NavLink, useParams } from 'react-router'

import { Loading } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { nameOf } from '../app/names'
import { Chip, PageHead, Refusal, State } from '../app/parts'
import { useMedia } from '../app/useMedia'
import { useRequest, useRequests, type AccessRequest } from './api'
import { RequestCard } from './RequestCard'

type View = 'waiting' | 'decided'

export default function ApprovalsPage() {
  const { t } = useI18n()
  const { id } = useParams()
  const narrow = useMedia('(max-width: 1080px)')
  const [view, setView] = useState<View>('waiting')
  const list = useRequests(view === 'waiting' ? 'submitted' : undefined)
  const items = view === 'waiting' ? list.items : list.items.filter((request) => request.state !== 'submitted')
  const next = items.find((request) => request.id !== id && request.state === 'submitted')
  const showList = !narrow || !id

  return (
    <>
      {showList ? (
        <PageHead title={t('access_requests.approvals')} lead={t('access_requests.lead')} />
      ) : (
        <Link to="/access-requests" className="back">
          <Icon name="back" />
          {t('access_requests.all')}
        </Link>
      )}
      <div className={id && !narrow ? 'split' : undefined}>
        {showList ? (
          <section aria-label={t('access_requests.approvals')}>
            <Segmented<View>
              className="views"
              value={view}
              onChange={setView}
              options={[
                { value: 'waiting', label: t('access_requests.waiting') },
                { value: 'decided', label: t('access_requests.decided') },
              ]}
            />
            {list.loading ? <Loading /> : null}
            <Refusal error={list.error} />
            {!list.loading && !list.error && items.length === 0 ? (
              <p className="empty">{t(view === 'waiting' ? 'access_requests.none_waiting' : 'access_requests.none_decided')}</p>
            ) : null}
            <ul className="requests">
              {items.map((request) => (
                <RequestLine key={request.id} request={request} />
              ))}
            </ul>
          </section>
        ) : null}
        {id ? <Detail key={id} id={id} next={next} alone={!showList} /> : null}
      </div>
    </>
  )
}

function RequestLine({ request }: { request: AccessRequest }) {
  const { t } = useI18n()
  const format = useFormat()
  return (
    <li>
      <NavLink to={`/access-requests/${request.id}`}>
        <span className="request-title">
          <strong>{nameOf(request.target)}</strong>
          {request.state === 'submitted' && request.notices.length > 0 ? (
            <Chip tone="wait" icon="warning">
              {t('access_requests.unusual_count', { count: request.notices.length })}
            </Chip>
          ) : null}
          {request.state === 'submitted' ? null : <State of="access_requests.state" value={request.state} />}
        </span>
        <span>
          {request.person.display_name}
          {request.company ? ` · ${request.company}` : ''}
        </span>
        <span className="muted">
          {t('access_requests.asked_at', {
            at: format.moment(request.submitted_at),
            duration: format.duration(request.duration_seconds),
          })}
        </span>
      </NavLink>
    </li>
  )
}

function Detail({ id, next, alone }: { id: string; next: AccessRequest | undefined; alone: boolean }) {
  const query = useRequest(id)
  if (query.isLoading) return <Loading />
  return (
    <div>
      <Refusal error={query.error} retry={() => void query.refetch()} />
      {query.data ? <RequestCard request={query.data} next={next} alone={alone} /> : null}
    </div>
  )
}
