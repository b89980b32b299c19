/** The audit trail, newest first, and whether its chain holds. */
import { Button, Input } from 'antd'
import { useState } from 'react'

import { DataList, type Column } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Chip, Moment, PageHead, Refusal } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { useAuditEvents, useChain, type AuditEvent } from './api'

export default function AuditPage() {
  const { t } = useI18n()
  const format = useFormat()
  const [code, setCode] = useState('')
  const [typed, setTyped] = useState('')
  const list = useAuditEvents(code)
  const choose = (next: string) => {
    setTyped(next)
    setCode(next.trim())
  }
  const columns: Column<AuditEvent>[] = [
    {
      title: t('audit.code'),
      render: (event) => (
        <button type="button" className="as-link" onClick={() => choose(event.code)} title={t('audit.only_this')}>
          <code>{event.code}</code>
        </button>
      ),
    },
    { title: t('audit.seq'), render: (event) => format.number(event.seq) },
    { title: t('audit.at'), render: (event) => <Moment at={event.at} /> },
    { title: t('audit.actor'), render: (event) => <code>{event.actor}</code> },
    { title: t('audit.subject'), render: (event) => <code>{event.subject}</code> },
    { title: t('audit.params'), render: (event) => <Params params={event.params} /> },
  ]
  return (
    <>
      <PageHead title={t('audit.trail')} lead={t('audit.lead')} />
      <Chain />
      <form
        className="row filter"
        onSubmit={(event) => {
          event.preventDefault()
          choose(typed)
        }}
      >
        <Input
          aria-label={t('audit.filter')}
          placeholder={t('audit.filter_example')}
          value={typed}
          allowClear
          spellCheck={false}
          onChange={(event) => {
            setTyped(event.target.value)
            if (event.target.value === '') setCode('')
          }}
        />
        <Button htmlType="submit">{t('audit.apply')}</Button>
      </form>
      <DataList
        label={t('audit.trail')}
        list={list}
        columns={columns}
        rowKey={(event) => String(event.seq)}
        empty={t(code ? 'audit.none_such' : 'audit.none')}
      />
    </>
  )
}

function Params({ params }: { params: AuditEvent['params'] }) {
  const entries = Object.entries(params ?? {})
  if (entries.length === 0) return '–'
  return (
    <ul className="params">
      {entries.map(([name, value]) => (
        <li key={name}>
          <span className="muted">{name}</span> <code>{String(value)}</code>
        </li>
      ))}
    </ul>
  )
}

function Chain() {
  const { t } = useI18n()
  const format = useFormat()
  const { can } = useSession()
  const query = useChain(can(may.readChain))
  const state = query.data
  if (query.error) return <Refusal error={query.error} />
  if (!state) return null
  const tone = state.verified ? 'good' : 'bad'
  return (
    <section className={`verification verification-${tone}`} aria-label={t('audit.chain')}>
      <Chip tone={tone} icon={state.verified ? 'check' : 'warning'}>
        {t(state.verified ? 'audit.chain_holds' : 'audit.chain_broken')}
      </Chip>
      <p>{t(state.verified ? 'audit.chain_holds_text' : 'audit.chain_broken_text')}</p>
      <p className="muted">
        {state.broken_at ? `${t('audit.chain_broken_at', { seq: format.number(state.broken_at) })} ` : null}
        {t('audit.chain_facts', { seq: format.number(state.last_seq), at: format.moment(state.checked_at) })}{' '}
        <code className="long">{state.head}</code>
      </p>
    </section>
  )
}
