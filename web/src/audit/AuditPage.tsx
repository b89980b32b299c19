/** The audit trail, newest first, and whether its chain holds. */
import { Button, Input } from 'antd'
import { useState } from 'react'

import { DataList, type Column } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Moment, PageHead } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { useAuditEvents, type AuditEvent } from './api'
import { Chain } from './Chain'

export default function AuditPage() {
  const { t } = useI18n()
  const format = useFormat()
  const { can } = useSession()
  const [code, setCode] = useState('')
  const [typed, setTyped] = useState('')
  const [subject, setSubject] = useState<string>()
  const list = useAuditEvents(code, subject)
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
    {
      title: t('audit.subject'),
      render: (event) => (
        <button type="button" className="as-link" onClick={() => setSubject(event.subject)} title={t('audit.only_this_subject')}>
          <code>{event.subject}</code>
        </button>
      ),
    },
    { title: t('audit.params'), render: (event) => <Params params={event.params} /> },
  ]
  return (
    <>
      <PageHead title={t('audit.trail')} lead={t('audit.lead')} />
      {can(may.readChain) ? <Chain /> : null}
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
      {subject ? (
        <p className="row">
          <span>
            {t('audit.about')} <code>{subject}</code>
          </span>
          <Button size="small" onClick={() => setSubject(undefined)}>
            {t('audit.about_all')}
          </Button>
        </p>
      ) : null}
      <DataList
        label={t('audit.trail')}
        list={list}
        columns={columns}
        rowKey={(event) => String(event.seq)}
        empty={t(code || subject ? 'audit.none_such' : 'audit.none')}
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
