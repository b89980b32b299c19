/** People and their roles. A new person's activation is handed over once, outside of this system. */
import { App as AntApp, Button, Space } from 'antd'
import { useState } from 'react'

import { useAct } from '../app/data'
import { DataList, type Column } from '../app/DataList'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { Moment, PageHead, State } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { PEOPLE, resetPerson, suspendPerson, usePeople, type Person } from './api'
import { ConfirmDialog } from './ConfirmDialog'
import { HandOver } from './HandOver'
import { NewPersonDialog } from './NewPersonDialog'

export default function PeoplePage() {
  const { t, tCode, tProblem } = useI18n()
  const { session, can } = useSession()
  const { modal, message } = AntApp.useApp()
  const list = usePeople()
  const [adding, setAdding] = useState(false)
  const [confirming, setConfirming] = useState<Person>()
  const suspend = useAct(suspendPerson, { rereads: [PEOPLE] })
  const reset = useAct(resetPerson, { rereads: [PEOPLE] })

  const confirmSuspend = (person: Person) =>
    modal.confirm({
      title: t('identities.suspend_title', { name: person.display_name }),
      content: t('identities.suspend_text'),
      okText: t('identities.suspend'),
      okButtonProps: { danger: true },
      cancelText: t('app.cancel'),
      onOk: () => suspend.mutateAsync(person.id).catch((error: unknown) => void message.error(tProblem(error))),
    })

  const confirmReset = (person: Person) =>
    modal.confirm({
      title: t('identities.reset_title', { name: person.display_name }),
      content: t('identities.reset_text'),
      okText: t('identities.reset'),
      okButtonProps: { danger: true },
      cancelText: t('app.cancel'),
      onOk: () => reset.mutateAsync(person.id).catch((error: unknown) => void message.error(tProblem(error))),
    })

  const columns: Column<Person>[] = [
    { title: t('identities.name'), render: (person) => <strong>{person.display_name}</strong> },
    { title: t('identities.username'), render: (person) => <code>{person.username}</code> },
    { title: t('identities.role_label'), render: (person) => tCode('identities.role', person.role) },
    { title: t('identities.company'), render: (person) => person.company ?? '–' },
    { title: t('identities.state_label'), render: (person) => <State of="identities.state" value={person.state} /> },
    { title: t('identities.created'), render: (person) => <Moment at={person.created_at} />, wide: true },
  ]
  if (can(may.confirmPerson)) {
    columns.push({
      title: '',
      render: (person) =>
        person.state !== 'unconfirmed' || person.id === session?.person.id ? null : (
          <Button size="small" type="primary" onClick={() => setConfirming(person)}>
            {t('identities.confirm_open')}
          </Button>
        ),
    })
  }
  if (can(may.suspendPerson)) {
    columns.push({
      title: '',
      render: (person) =>
        person.id === session?.person.id ? null : (
          <Space wrap>
            {can(may.resetPerson) ? (
              <Button size="small" onClick={() => confirmReset(person)}>
                {t('identities.reset')}
              </Button>
            ) : null}
            {person.state === 'suspended' ? null : (
              <Button size="small" danger onClick={() => confirmSuspend(person)}>
                {t('identities.suspend')}
              </Button>
            )}
          </Space>
        ),
    })
  }
  return (
    <>
      <PageHead title={t('identities.people')} lead={t('identities.people_lead')}>
        {can(may.createPerson) ? (
          <Button type="primary" icon={<Icon name="plus" />} onClick={() => setAdding(true)}>
            {t('identities.add')}
          </Button>
        ) : null}
      </PageHead>
      <DataList
        label={t('identities.people')}
        list={list}
        columns={columns}
        rowKey={(person) => person.id}
        empty={t('identities.none')}
        search={(person) => [person.display_name, person.username, person.company, tCode('identities.role', person.role)]}
      />
      {adding ? <NewPersonDialog onClose={() => setAdding(false)} /> : null}
      {confirming ? <ConfirmDialog person={confirming} onClose={() => setConfirming(undefined)} /> : null}
      {reset.data ? (
        <HandOver
          made={reset.data}
          title={t('identities.was_reset', { name: reset.data.person.display_name })}
          onClose={() => reset.reset()}
        />
      ) : null}
    </>
  )
}
