/** One request, in the order an approver needs it: what is unusual, the facts, then the actions. */
import { Link } from 'react-router'

import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { nameOf } from '../app/names'
import { Facts, State } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import type { AccessRequest } from './api'
import { Decision } from './Decision'

interface Props {
  request: AccessRequest
  next: AccessRequest | undefined
  /** The card is the whole page, so its title is the page's. */
  alone: boolean
}

export function RequestCard({ request, next, alone }: Props) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const { can } = useSession()
  const open = request.state === 'submitted'
  const Title = alone ? 'h1' : 'h2'
  const seconds = (Date.parse(request.ends_at) - Date.parse(request.starts_at)) / 1000
  const when = request.starts_on_approval
    ? t('access_requests.from_approval', { duration: format.duration(request.duration_seconds) })
    : `${format.range(request.starts_at, request.ends_at)} (${format.duration(seconds)})`

  return (
    <article className="request" aria-labelledby="request-title">
      <Title id="request-title">
        {t('access_requests.wants', { person: request.person.display_name, target: nameOf(request.target) })}
      </Title>
      <Notices request={request} />
      <Facts
        rows={[
          [t('access_requests.person'), request.person.display_name],
          [t('access_requests.company'), request.company],
          [
            t('access_requests.device'),
            <span key="device" className="row">
              {request.device.name}
              <State of="devices.state" value={request.device.state} />
            </span>,
          ],
          [t('access_requests.source'), <code key="source">{request.source}</code>],
          [
            t('access_requests.target'),
            <span key="target">
              <strong>{nameOf(request.target)}</strong> · {nameOf(request.zone)}
            </span>,
          ],
          [
            t('access_requests.account'),
            <span key="account">
              <code>{request.account}</code> · {tCode('access_requests.protocol', request.protocol)}
            </span>,
          ],
          [t('access_requests.when'), when],
          [t('access_requests.work_order'), request.work_order],
          [t('access_requests.reason'), <span key="reason" className="prose">{request.reason}</span>],
          [t('access_requests.submitted'), format.moment(request.submitted_at)],
          [t('access_requests.state_label'), <State key="state" of="access_requests.state" value={request.state} />],
        ]}
      />
      <Approvals request={request} />
      <div aria-live="polite">{open ? null : <Outcome request={request} />}</div>
      {open && (can(may.approveRequest) || can(may.denyRequest)) ? <Decision request={request} /> : null}
      {!open && next ? (
        <Link className="button-link" to={`/access-requests/${next.id}`}>
          {t('access_requests.next', { target: nameOf(next.target) })}
        </Link>
      ) : null}
    </article>
  )
}

function Notices({ request }: { request: AccessRequest }) {
  const { t, tNamed } = useI18n()
  if (request.notices.length === 0) return <p className="usual">{t('access_requests.nothing_unusual')}</p>
  return (
    <section className="notices" aria-label={t('access_requests.unusual')}>
      <h3>
        <Icon name="warning" />
        {t('access_requests.unusual')}
      </h3>
      <ul>
        {request.notices.map((notice) => (
          <li key={notice.code}>
            {tNamed(
              'notice',
              notice.code,
              notice.params,
              [notice.code, ...Object.values(notice.params ?? {})].join(' · '),
            )}
          </li>
        ))}
      </ul>
    </section>
  )
}

function Approvals({ request }: { request: AccessRequest }) {
  const { t } = useI18n()
  const format = useFormat()
  if (request.approvals.length === 0) return null
  return (
    <section>
      <h3>{t('access_requests.approved_by')}</h3>
      <ul>
        {request.approvals.map((approval) => (
          <li key={approval.person.id}>
            {approval.person.display_name} · {format.moment(approval.at)} · {format.duration(approval.duration_seconds)}
          </li>
        ))}
      </ul>
      {request.state === 'submitted' ? <p>{t('access_requests.another_needed')}</p> : null}
    </section>
  )
}

function Outcome({ request }: { request: AccessRequest }) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const by = request.decided_by?.display_name
  return (
    <section className={`outcome outcome-${request.state}`}>
      <h3>{tCode('access_requests.outcome', request.state)}</h3>
      {by ? <p>{t('access_requests.decided_by_at', { name: by, at: format.moment(request.decided_at) })}</p> : null}
      {request.decision_reason ? <p className="prose">{request.decision_reason}</p> : null}
      {request.state === 'approved' ? (
        <p>{t('access_requests.access_from_to', { range: format.range(request.starts_at, request.ends_at) })}</p>
      ) : null}
    </section>
  )
}
