/** How long a recording is kept, who holds it, who wants it destroyed, and what stays of it when it was. */
import { useId } from 'react'
import { Link } from 'react-router'

import { Loading } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Chip, Facts, HandOn, Refusal, type Tone } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { AskPurge, LiftHold, ReasonButton } from './ReasonButton'
import { placeHold, useKept, type Kept, type LegalHold } from './retention'

const TONES: Record<string, Tone> = { kept: 'good', on_hold: 'live', asked: 'wait', over: 'quiet', open: 'live', destroyed: 'bad' }

/** The one word that matters most for a recording's future. */
export function keepingOf(kept: Kept): string {
  if (kept.destroyed) return 'destroyed'
  // Of a purge it must show which recording bars it.
  if (kept.holds.some((hold) => !hold.lifted_at)) return 'on_hold'
  if (kept.waits_in) return 'asked'
  if (kept.barrier === 'open') return 'open'
  return kept.barrier === null ? 'over' : 'kept'
}

export function KeepingChip({ kept }: { kept: Kept }) {
  const { tCode } = useI18n()
  const state = keepingOf(kept)
  return <Chip tone={TONES[state] ?? 'quiet'}>{tCode('recordings.keeping', state)}</Chip>
}

export function Keeping({ id }: { id: string }) {
  const { t } = useI18n()
  const query = useKept(id)
  return (
    <section className="panel" aria-label={t('recordings.retention')}>
      <h2>{t('recordings.retention')}</h2>
      <Refusal error={query.error} retry={() => void query.refetch()} />
      {query.isLoading ? <Loading /> : null}
      {query.data ? <Inner kept={query.data} /> : null}
    </section>
  )
}

function Inner({ kept }: { kept: Kept }) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const standing = kept.holds.filter((hold) => !hold.lifted_at)
  const lifted = kept.holds.filter((hold) => hold.lifted_at)
  return (
    <>
      <p>
        <KeepingChip kept={kept} />
      </p>
      <Facts
        rows={[
          [t('recordings.ended'), kept.closed_at ? format.moment(kept.closed_at) : t('recordings.state.open')],
          [t('recordings.kept_until'), kept.keep_until ? format.moment(kept.keep_until) : t('recordings.kept_from_end')],
          [t('recordings.bytes'), format.bytes(kept.bytes)],
          [t('recordings.id'), <code key="id">{kept.recording_id}</code>],
        ]}
      />
      {standing.length > 0 ? <Holds title={t('recordings.holds_standing')} holds={standing} /> : null}
      {lifted.length > 0 ? <Holds title={t('recordings.holds_lifted')} holds={lifted} /> : null}
      {kept.waits_in ? (
        <p>
          <Link to={`/retention/purges/${kept.waits_in}`}>{t('recordings.to_purge')}</Link>
        </p>
      ) : null}
      {kept.destroyed ? <Tombstone kept={kept} destroyed={kept.destroyed} /> : <Acts kept={kept} />}
      {kept.destroyed?.refusal ? (
        <p className="tone-bad">{t('recordings.removal_refused', { why: tCode('recordings.removal', kept.destroyed.refusal) })}</p>
      ) : null}
    </>
  )
}

function Holds({ title, holds }: { title: string; holds: LegalHold[] }) {
  const { t } = useI18n()
  const format = useFormat()
  const { can } = useSession()
  const id = useId()
  return (
    <>
      <h3 id={id} className="sub">
        {title}
      </h3>
      <ul className="lines" aria-labelledby={id}>
        {holds.map((hold) => (
          <li key={hold.id}>
            <span className="prose">
              <strong>{hold.reason}</strong>
              <br />
              <span className="muted">{t('recordings.placed_by', { person: hold.placed_by.display_name, at: format.moment(hold.placed_at) })}</span>
              {hold.lifted_by ? (
                <>
                  <br />
                  <span className="muted">
                    {t('recordings.lifted_by', {
                      person: hold.lifted_by.display_name,
                      at: format.moment(hold.lifted_at),
                      reason: hold.lift_reason ?? '–',
                    })}
                  </span>
                </>
              ) : null}
            </span>
            {!hold.lifted_at && can(may.liftHold) ? <LiftHold hold={hold} /> : null}
          </li>
        ))}
      </ul>
    </>
  )
}

function Acts({ kept }: { kept: Kept }) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const { can } = useSession()
  const barrier = kept.barrier ?? (kept.waits_in ? 'waiting' : null)
  const asks = can(may.askPurge)
  if (!asks && !can(may.placeHold)) return null
  return (
    <>
      {asks && barrier ? (
        <p className="muted">{tCode('recordings.barrier', barrier, { until: format.moment(kept.keep_until) })}</p>
      ) : null}
      <div className="row">
        {can(may.placeHold) ? (
          <ReasonButton
            words={{
              action: t('recordings.place_hold'),
              title: t('recordings.place_hold_title'),
              text: t('recordings.place_hold_text'),
              done: t('recordings.hold_placed'),
            }}
            act={(reason) => placeHold({ id: kept.recording_id, reason })}
          />
        ) : null}
        {asks ? <AskPurge ids={[kept.recording_id]} disabled={barrier !== null} /> : null}
      </div>
    </>
  )
}

function Tombstone({ kept, destroyed }: { kept: Kept; destroyed: NonNullable<Kept['destroyed']> }) {
  const { t } = useI18n()
  const format = useFormat()
  return (
    <>
      <p className="prose">
        {t('recordings.destroyed_text', { at: format.moment(destroyed.purged_at) })}{' '}
        {destroyed.removed_at ? t('recordings.removed_text', { at: format.moment(destroyed.removed_at) }) : t('recordings.removal_waits')}{' '}
        <Link to={`/retention/purges/${destroyed.purge_id}`}>{t('recordings.to_purge')}</Link>
      </p>
      <HandOn label={t('recordings.tombstone')} text={destroyed.tombstone.trim()} fileName={`${kept.recording_id}.tombstone`} />
    </>
  )
}
