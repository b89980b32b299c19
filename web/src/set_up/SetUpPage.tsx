/** From the first administrator to a session that was replayed: what is done, what is next, and whose turn it is. */
import { Link } from 'react-router'

import { Loading } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import type { IconName } from '../app/icons'
import { Chip, PageHead, Refusal, type Tone } from '../app/parts'
import { may, type Permission } from '../app/permissions'
import { useSession } from '../app/session'
import { useSetUp, type Step } from './api'

/** Where a step is done, what for one needs there, and whose work it is. */
const WHERE: Record<string, { path: string; permission: Permission; role: string }> = {
  system_administrator: { path: '/people', permission: may.createPerson, role: 'system_administrator' },
  security_administrator: { path: '/people', permission: may.createPerson, role: 'system_administrator' },
  plant_admins: { path: '/people', permission: may.createPerson, role: 'system_administrator' },
  auditor: { path: '/people', permission: may.createPerson, role: 'system_administrator' },
  target: { path: '/targets', permission: may.createTarget, role: 'security_administrator' },
  credential: { path: '/targets', permission: may.putCredential, role: 'security_administrator' },
  connection_test: { path: '/targets', permission: may.probeTarget, role: 'security_administrator' },
  vendor_engineer: { path: '/people', permission: may.createPerson, role: 'system_administrator' },
  device: { path: '/devices', permission: may.inviteDevice, role: 'plant_admin' },
  session: { path: '/access-requests', permission: may.approveRequest, role: 'plant_admin' },
  replay: { path: '/sessions', permission: may.replayRecording, role: 'auditor' },
}

const LOOKS: Record<Step['state'], { tone: Tone; icon: IconName }> = {
  done: { tone: 'good', icon: 'check' },
  waiting: { tone: 'wait', icon: 'more' },
  open: { tone: 'quiet', icon: 'begin' },
}

export default function SetUpPage() {
  const { t } = useI18n()
  const format = useFormat()
  const query = useSetUp(true)
  const steps = query.data?.steps ?? []
  const done = steps.filter((step) => step.state === 'done').length
  const next = steps.find((step) => step.state !== 'done')?.code
  return (
    <>
      <PageHead title={t('set_up.set_up')} lead={t('set_up.lead')} />
      <Refusal error={query.error} retry={() => void query.refetch()} />
      {query.isLoading ? <Loading /> : null}
      {query.data ? (
        <>
          <p className="progress-words" role="status">
            <strong>{t(query.data.complete ? 'set_up.complete' : 'set_up.progress', { done: format.number(done), all: format.number(steps.length) })}</strong>
          </p>
          <progress aria-label={t('set_up.set_up')} max={steps.length} value={done} />
          <ol className="set-up">
            {steps.map((step) => (
              <OneStep key={step.code} step={step} isNext={step.code === next} />
            ))}
          </ol>
        </>
      ) : null}
    </>
  )
}

function OneStep({ step, isNext }: { step: Step; isNext: boolean }) {
  const { t, tCode } = useI18n()
  const { can } = useSession()
  const where = WHERE[step.code]
  const look = LOOKS[step.state]
  const mine = where !== undefined && can(where.permission)
  return (
    <li className={isNext ? 'next' : undefined} aria-current={isNext ? 'step' : undefined}>
      <div>
        <h2>{tCode('set_up.step', step.code)}</h2>
        <p className="muted">{tCode('set_up.text', step.code, {}, '')}</p>
        {step.state === 'waiting' ? <p>{tCode('set_up.waiting', step.code, {}, '')}</p> : null}
        {where && step.state !== 'done' ? (
          <p className="row">
            {mine ? (
              <Link className="button-link button-small" to={where.path}>
                {t('set_up.do')}
              </Link>
            ) : null}
            <span className="muted">{t(mine ? 'set_up.yours' : 'set_up.theirs', { role: tCode('identities.role', where.role) })}</span>
          </p>
        ) : null}
      </div>
      <Chip tone={look.tone} icon={look.icon}>
        {tCode('set_up.state', step.state)}
      </Chip>
    </li>
  )
}
