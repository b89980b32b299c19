/** One purge: who asked and why, exactly which recordings, and the other person's yes or no. */
import { App as AntApp, Button } from 'antd'
import { Link, useParams } from 'react-router'

import { useAct } from '../app/data'
import { DataList, Loading, type Column } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { Facts, Moment, PageHead, Refusal, State } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { KeepingChip } from './Keeping'
import { ReasonButton } from './ReasonButton'
import { RETENTION, confirmPurge, declinePurge, usePurge, withdrawPurge, wordsOf, type Kept, type Purge } from './retention'

export default function PurgePage() {
  const { t } = useI18n()
  const id = useParams().id ?? ''
  const query = usePurge(id)
  const format = useFormat()
  const found = query.data
  return (
    <>
      <Link to="/retention" className="back">
        <Icon name="back" />
        {t('recordings.retention')}
      </Link>
      <Refusal error={query.error} retry={() => void query.refetch()} />
      {query.isLoading ? <Loading /> : null}
      {found ? (
        <>
          <PageHead
            title={t('recordings.purge_of', { count: format.number(found.purge.recordings), bytes: format.bytes(found.purge.bytes) })}
          />
          <About purge={found.purge} />
          {found.purge.state === 'asked' ? <Decide purge={found.purge} items={found.items} /> : null}
          <Listed items={found.items} />
        </>
      ) : null}
    </>
  )
}

function About({ purge }: { purge: Purge }) {
  const { t } = useI18n()
  const format = useFormat()
  return (
    <div className="panel">
      <Facts
        rows={[
          [t('recordings.purge_state_label'), <State key="state" of="recordings.purge_state" value={purge.state} />],
          [t('app.reason'), <span key="reason" className="prose">{purge.reason}</span>],
          [t('recordings.asked_by'), `${purge.asked_by.display_name} · ${format.moment(purge.asked_at)}`],
          ...(purge.state === 'asked' ? [[t('recordings.expires_at'), format.moment(purge.expires_at)] as [string, string]] : []),
          ...(purge.decided_at
            ? [[t('recordings.decided_by'), `${purge.decided_by?.display_name ?? '–'} · ${format.moment(purge.decided_at)}`] as [string, string]]
            : []),
          ...(purge.decision_reason ? [[t('recordings.declined_because'), purge.decision_reason] as [string, string]] : []),
          [t('recordings.list_name'), <code key="list">{purge.list_sha256}</code>],
          [t('recordings.id'), <code key="id">{purge.id}</code>],
        ]}
      />
    </div>
  )
}

function Decide({ purge, items }: { purge: Purge; items: Kept[] }) {
  const { t } = useI18n()
  const { session, can } = useSession()
  const { modal } = AntApp.useApp()
  const confirm = useAct(confirmPurge, { rereads: [RETENTION] })
  const withdraw = useAct(withdrawPurge, { rereads: [RETENTION] })
  const barred = items.filter((kept) => kept.barrier !== null)
  const mine = purge.asked_by.id === session?.person.id
  const sure = () =>
    modal.confirm({
      title: t('recordings.confirm_title', { count: purge.recordings }),
      content: t('recordings.confirm_text'),
      okText: t('recordings.confirm'),
      okButtonProps: { danger: true },
      cancelText: t('app.cancel'),
      // A refusal stands on the page, where the list is.
      onOk: () => confirm.mutateAsync({ id: purge.id, listSha256: purge.list_sha256 }).catch(() => undefined),
    })
  return (
    <section className="panel" aria-label={t('recordings.decision')}>
      <h2>{t('recordings.decision')}</h2>
      {mine ? <p>{t('recordings.purge_yours')}</p> : null}
      {!mine && !can(may.confirmPurge) ? <p>{t('recordings.purge_waits_for_auditor')}</p> : null}
      {barred.length > 0 ? <p className="tone-bad">{t('recordings.purge_is_barred', { count: barred.length })}</p> : null}
      <Refusal error={confirm.error ?? withdraw.error} />
      <div className="row">
        {!mine && can(may.confirmPurge) ? (
          <>
            <ReasonButton
              words={{
                action: t('recordings.decline'),
                title: t('recordings.decline_title'),
                text: t('recordings.decline_text'),
                done: t('recordings.declined'),
              }}
              act={(reason) => declinePurge({ id: purge.id, reason })}
            />
            <Button danger type="primary" disabled={barred.length > 0} loading={confirm.isPending} onClick={sure}>
              {t('recordings.confirm')}
            </Button>
          </>
        ) : null}
        {can(may.askPurge) ? (
          <Button loading={withdraw.isPending} onClick={() => withdraw.mutate(purge.id)}>
            {t('recordings.withdraw')}
          </Button>
        ) : null}
      </div>
    </section>
  )
}

function Listed({ items }: { items: Kept[] }) {
  const { t } = useI18n()
  const format = useFormat()
  const columns: Column<Kept>[] = [
    {
      title: t('recordings.recording'),
      render: (kept) => <Link to={`/retention/recordings/${kept.recording_id}`}>{wordsOf(kept)}</Link>,
    },
    { title: t('recordings.ended'), render: (kept) => <Moment at={kept.closed_at} /> },
    { title: t('recordings.kept_until'), render: (kept) => <Moment at={kept.keep_until} />, wide: true },
    { title: t('recordings.bytes'), render: (kept) => format.bytes(kept.bytes) },
    { title: t('recordings.keeping_label'), render: (kept) => <KeepingChip kept={kept} /> },
  ]
  return (
    <section className="part" aria-label={t('recordings.list')}>
      <h2>{t('recordings.list')}</h2>
      <DataList
        label={t('recordings.list')}
        list={{ items, loading: false, error: null, more: undefined, loadingMore: false }}
        columns={columns}
        rowKey={(kept) => kept.recording_id}
        empty={t('recordings.none_over')}
      />
    </section>
  )
}
