/** What happens to recordings in the end: the disk's outlook, purges, holds, and what may be destroyed by now. */
import { Checkbox, Segmented } from 'antd'
import { useState } from 'react'
import { Link } from 'react-router'

import { DataList, type Column } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Moment, PageHead, State } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { KeepingChip } from './Keeping'
import { AskPurge, LiftHold } from './ReasonButton'
import { useHolds, useOver, usePurges, wordsOf, type Kept, type LegalHold, type Purge } from './retention'
import { Storage } from './Storage'

/** So many recordings stand in one purge at most. */
const MOST_AT_ONCE = 500

export default function RetentionPage() {
  const { t } = useI18n()
  return (
    <>
      <PageHead title={t('recordings.retention')} lead={t('recordings.retention_lead')} />
      <Storage />
      <Purges />
      <Holds />
      <Over />
    </>
  )
}

function Purges() {
  const { t } = useI18n()
  const format = useFormat()
  const [view, setView] = useState<'asked' | 'all'>('asked')
  const list = usePurges(view === 'asked' ? 'asked' : undefined)
  const columns: Column<Purge>[] = [
    {
      title: t('recordings.purge'),
      render: (purge) => (
        <Link to={`/retention/purges/${purge.id}`}>
          {t('recordings.purge_of', { count: format.number(purge.recordings), bytes: format.bytes(purge.bytes) })}
        </Link>
      ),
    },
    { title: t('recordings.purge_state_label'), render: (purge) => <State of="recordings.purge_state" value={purge.state} /> },
    { title: t('recordings.asked_by'), render: (purge) => purge.asked_by.display_name },
    { title: t('recordings.asked_at'), render: (purge) => <Moment at={purge.asked_at} />, wide: true },
    {
      title: view === 'asked' ? t('recordings.expires_at') : t('recordings.decided_at'),
      render: (purge) => <Moment at={view === 'asked' ? purge.expires_at : purge.decided_at} />,
    },
    { title: t('app.reason'), render: (purge) => <span className="prose">{purge.reason}</span> },
  ]
  return (
    <section className="part" aria-label={t('recordings.purges')}>
      <h2>{t('recordings.purges')}</h2>
      <Segmented<'asked' | 'all'>
        className="views"
        value={view}
        onChange={setView}
        options={[
          { value: 'asked', label: t('recordings.purges_waiting') },
          { value: 'all', label: t('recordings.purges_all') },
        ]}
      />
      <DataList
        label={t('recordings.purges')}
        list={list}
        columns={columns}
        rowKey={(purge) => purge.id}
        empty={t(view === 'asked' ? 'recordings.no_purges_waiting' : 'recordings.no_purges')}
      />
    </section>
  )
}

function Holds() {
  const { t } = useI18n()
  const { can } = useSession()
  const list = useHolds()
  const columns: Column<LegalHold>[] = [
    {
      title: t('recordings.recording'),
      render: (hold) => (
        <Link to={`/retention/recordings/${hold.recording_id}`}>
          <code>{hold.recording_id}</code>
        </Link>
      ),
    },
    { title: t('app.reason'), render: (hold) => <span className="prose">{hold.reason}</span> },
    { title: t('recordings.held_by'), render: (hold) => hold.placed_by.display_name },
    { title: t('recordings.held_since'), render: (hold) => <Moment at={hold.placed_at} /> },
  ]
  if (can(may.liftHold)) columns.push({ title: '', render: (hold) => <LiftHold hold={hold} /> })
  return (
    <section className="part" aria-label={t('recordings.holds_standing')}>
      <h2>{t('recordings.holds_standing')}</h2>
      <DataList
        label={t('recordings.holds_standing')}
        list={list}
        columns={columns}
        rowKey={(hold) => hold.id}
        empty={t('recordings.no_holds')}
      />
    </section>
  )
}

function Over() {
  const { t } = useI18n()
  const format = useFormat()
  const { can } = useSession()
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const list = useOver()
  const asks = can(may.askPurge)
  const ready = list.items.filter((kept) => kept.barrier === null && !kept.waits_in).map((kept) => kept.recording_id)
  const ids = ready.filter((id) => chosen.has(id)).slice(0, MOST_AT_ONCE)
  const choose = (id: string, wanted: boolean) =>
    setChosen((before) => new Set(wanted ? [...before, id] : [...before].filter((other) => other !== id)))
  const columns: Column<Kept>[] = [
    {
      title: t('recordings.recording'),
      render: (kept) => {
        const link = <Link to={`/retention/recordings/${kept.recording_id}`}>{wordsOf(kept)}</Link>
        return asks ? (
          <span className="row nowrap">
            <Checkbox
              aria-label={t('recordings.choose', { recording: wordsOf(kept) })}
              checked={chosen.has(kept.recording_id)}
              disabled={!ready.includes(kept.recording_id)}
              onChange={(event) => choose(kept.recording_id, event.target.checked)}
            />
            {link}
          </span>
        ) : (
          link
        )
      },
    },
    { title: t('recordings.ended'), render: (kept) => <Moment at={kept.closed_at} /> },
    { title: t('recordings.kept_until'), render: (kept) => <Moment at={kept.keep_until} /> },
    { title: t('recordings.bytes'), render: (kept) => format.bytes(kept.bytes) },
    { title: t('recordings.keeping_label'), render: (kept) => <KeepingChip kept={kept} /> },
  ]
  return (
    <section className="part" aria-label={t('recordings.over')}>
      <h2>{t('recordings.over')}</h2>
      <p className="muted">{t('recordings.over_text')}</p>
      {asks && ready.length > 0 ? (
        <div className="row filter">
          <Checkbox
            checked={ids.length === Math.min(ready.length, MOST_AT_ONCE)}
            indeterminate={ids.length > 0 && ids.length < ready.length}
            onChange={(event) => setChosen(new Set(event.target.checked ? ready.slice(0, MOST_AT_ONCE) : []))}
          >
            {t('recordings.choose_all')}
          </Checkbox>
          <AskPurge ids={ids} disabled={ids.length === 0} onDone={() => setChosen(new Set())} />
        </div>
      ) : null}
      <DataList
        label={t('recordings.over')}
        list={list}
        columns={columns}
        rowKey={(kept) => kept.recording_id}
        empty={t('recordings.none_over')}
      />
    </section>
  )
}
