/** Which part answers, whether the trail holds and is witnessed, how much room is left, which certificate ends. */
import { Button } from 'antd'
import { Link } from 'react-router'

import { Loading } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Chip, Facts, Moment, PageHead, Refusal, type Tone } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { Chain } from '../audit/Chain'
import { useHealth, type Health } from './api'

const DAY_MS = 86_400_000
const SOON_DAYS = 30
/** As little as this much room is told in red, as little as this in yellow. */
const [LITTLE, SCARCE] = [0.05, 0.15]
/** A guard that was silent for longer is not to be believed. */
const GUARD_SILENT_MS = 60_000
/** A checkpoint is due every minute. */
const WITNESS_LATE_MS = 180_000
const GOOD_GUARD = 'armed'

export default function HealthPage() {
  const { t } = useI18n()
  const format = useFormat()
  const { can } = useSession()
  const query = useHealth()
  const health = query.data
  const unready = health?.parts.filter((part) => !part.ready).length ?? 0
  return (
    <>
      <PageHead title={t('health.health')} lead={t('health.lead')}>
        <Button loading={query.isFetching} onClick={() => void query.refetch()}>
          {t('health.again')}
        </Button>
      </PageHead>
      <Refusal error={query.error} />
      {query.isLoading ? <Loading /> : null}
      {health ? (
        <>
          <section className={`verification verification-${unready ? 'bad' : 'good'}`} aria-label={t('health.all')}>
            <Chip tone={unready ? 'bad' : 'good'} icon={unready ? 'warning' : 'check'}>
              {t(unready ? 'health.not_all_ready' : 'health.all_ready')}
            </Chip>
            <p className="muted">
              {t('health.checked', { at: format.moment(health.checked_at), release: health.release })}
            </p>
          </section>
          <div className="tiles">
            <Parts health={health} />
            <Trail health={health} />
            <Space health={health} />
            <ObjectStore health={health} />
            <Certificates health={health} />
            <Firewall health={health} />
            <GuardState health={health} />
          </div>
          {can(may.readChain) ? <Chain /> : null}
          <p>
            <Link to="/set-up">{t('health.to_set_up')}</Link>
          </p>
        </>
      ) : null}
    </>
  )
}

function Parts({ health }: { health: Health }) {
  const { t, tCode } = useI18n()
  return (
    <section className="panel" aria-label={t('health.parts')}>
      <h2>{t('health.parts')}</h2>
      <ul className="lines">
        {health.parts.map((part) => (
          <li key={part.name}>
            <span>
              <strong>{tCode('health.part', part.name)}</strong>
              <br />
              <span className="muted">
                {part.ready ? tCode('health.part_text', part.name, {}, '') : tCode('health.part_missing', part.name, {}, '')}
              </span>
            </span>
            <Chip tone={part.ready ? 'good' : 'bad'} icon={part.ready ? 'check' : 'warning'}>
              {t(part.ready ? 'health.ready' : 'health.not_ready')}
            </Chip>
          </li>
        ))}
      </ul>
      {health.gateway_workers.length > 0 ? (
        <p className="muted">{t('health.workers', { names: health.gateway_workers.join(', ') })}</p>
      ) : null}
    </section>
  )
}

function Trail({ health }: { health: Health }) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const trail = health.trail
  if (!trail) return null
  const age = trail.witnessed_at ? Date.parse(health.checked_at) - Date.parse(trail.witnessed_at) : Infinity
  const late = trail.records_behind > 0 && age > WITNESS_LATE_MS
  const tone: Tone = trail.problem || late ? 'bad' : 'good'
  return (
    <section className="panel" aria-label={t('health.trail')}>
      <h2>{t('health.trail')}</h2>
      <p>
        <Chip tone={tone} icon={tone === 'good' ? 'check' : 'warning'}>
          {trail.problem ? tCode('health.witness_problem', trail.problem, {}, t('health.witness_late')) : t(late ? 'health.witness_late' : 'health.witnessed')}
        </Chip>
      </p>
      <Facts
        rows={[
          [t('health.last_seq'), format.number(trail.last_seq)],
          [t('health.witnessed_seq'), format.number(trail.witnessed_seq)],
          [t('health.witnessed_at'), <Moment key="at" at={trail.witnessed_at} />],
          [t('health.behind'), format.number(trail.records_behind)],
        ]}
      />
    </section>
  )
}

function Space({ health }: { health: Health }) {
  const { t } = useI18n()
  const format = useFormat()
  const space = health.recordings
  const share = space ? space.free_bytes / space.size_bytes : 0
  const tone: Tone = share < LITTLE ? 'bad' : share < SCARCE ? 'wait' : 'good'
  return (
    <section className="panel" aria-label={t('health.space')}>
      <h2>{t('health.space')}</h2>
      <p>
        <Chip tone={tone} icon={tone === 'good' ? 'check' : 'warning'}>
          {t(space ? (tone === 'good' ? 'health.space_good' : 'health.space_little') : 'health.space_unknown')}
        </Chip>
      </p>
      {space ? (
        <>
          <meter aria-label={t('health.space_used')} min={0} max={1} low={1 - SCARCE} high={1 - LITTLE} optimum={0} value={1 - share} />
          <p className="muted">
            {t('health.space_free', { free: format.bytes(space.free_bytes), size: format.bytes(space.size_bytes) })}
          </p>
        </>
      ) : null}
    </section>
  )
}

function ObjectStore({ health }: { health: Health }) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const store = health.object_store
  if (!store) return null
  const tone: Tone = store.problem ? 'bad' : store.failing ? 'wait' : 'good'
  return (
    <section className="panel" aria-label={t('health.object_store')}>
      <h2>{t('health.object_store')}</h2>
      <p>
        <Chip tone={tone} icon={tone === 'good' ? 'check' : 'warning'}>
          {store.problem ? tCode('health.object_store_problem', store.problem, {}, store.problem) : t('health.object_store_good')}
        </Chip>
      </p>
      {store.problem ? <p>{t('health.object_store_bad')}</p> : null}
      <Facts
        rows={[
          [t('health.object_store_bucket'), store.bucket],
          [t('health.object_store_checked'), <Moment key="checked" at={store.checked_at} />],
          [t('health.object_store_growing'), format.number(store.copies['growing'] ?? 0)],
          [t('health.object_store_stored'), format.number(store.copies['stored'] ?? 0)],
          [t('health.object_store_verified'), format.number(store.copies['verified'] ?? 0)],
          [t('health.object_store_released'), format.number(store.copies['released'] ?? 0)],
          [t('health.object_store_failing'), format.number(store.failing)],
          [t('health.object_store_waiting'), format.bytes(store.waiting_bytes)],
        ]}
      />
    </section>
  )
}

function Certificates({ health }: { health: Health }) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const now = Date.parse(health.checked_at)
  return (
    <section className="panel" aria-label={t('health.certificates')}>
      <h2>{t('health.certificates')}</h2>
      <ul className="lines">
        {health.certificates.map(({ name, ends_at }) => {
          const days = Math.floor((Date.parse(ends_at) - now) / DAY_MS)
          const tone: Tone = days < 0 ? 'bad' : days < SOON_DAYS ? 'wait' : 'good'
          return (
            <li key={name}>
              <span>
                <strong>{tCode('health.certificate', name.toLowerCase().replaceAll(' ', '_'), {}, name)}</strong>
                <br />
                <Moment at={ends_at} />
              </span>
              <Chip tone={tone} icon={tone === 'good' ? 'check' : 'warning'}>
                {days < 0 ? t('health.ended') : t('health.days_left', { days: format.number(days) })}
              </Chip>
            </li>
          )
        })}
      </ul>
    </section>
  )
}

function Firewall({ health }: { health: Health }) {
  const { t } = useI18n()
  const format = useFormat()
  const firewall = health.firewall
  if (!firewall) return null
  const tone: Tone = firewall.is_whole ? 'good' : 'bad'
  return (
    <section className="panel" aria-label={t('health.firewall')}>
      <h2>{t('health.firewall')}</h2>
      <p>
        <Chip tone={tone} icon={tone === 'good' ? 'check' : 'warning'}>
          {t(firewall.is_whole ? 'health.firewall_whole' : 'health.firewall_changed')}
        </Chip>
      </p>
      {firewall.is_whole ? null : <p>{t('health.firewall_changed_text')}</p>}
      <Facts
        rows={[
          [t('health.windows'), format.number(firewall.windows)],
          [t('health.ways'), format.number(firewall.ways)],
        ]}
      />
    </section>
  )
}

function GuardState({ health }: { health: Health }) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const guard = health.guard
  if (!guard) return null
  const silent = Date.parse(health.checked_at) - Date.parse(guard.said_at) > GUARD_SILENT_MS
  const tone: Tone = guard.state === GOOD_GUARD && !silent ? 'good' : 'wait'
  const stale = guard.roster_version !== guard.roster_sent
  return (
    <section className="panel" aria-label={t('health.guard')}>
      <h2>{t('health.guard')}</h2>
      <p>
        <Chip tone={tone} icon={tone === 'good' ? 'check' : 'warning'}>
          {silent ? t('health.guard_silent') : tCode('health.guard_state', guard.state)}
        </Chip>
      </p>
      <Facts
        rows={[
          [t('health.guard_said'), <Moment key="said" at={guard.said_at} />],
          [t('health.roster'), t(stale ? 'health.roster_stale' : 'health.roster_current', { version: format.number(guard.roster_version) })],
          ...Object.entries(guard.counters).map(
            ([name, count]) => [tCode('health.counter', name), format.number(count)] as [string, string],
          ),
        ]}
      />
    </section>
  )
}
