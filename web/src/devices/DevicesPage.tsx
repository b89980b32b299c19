/** Service engineers' workstations: invite, trust by a code read aloud, suspend, retire. */
import { App as AntApp, Button, Switch } from 'antd'
import { useState } from 'react'

import { useAct } from '../app/data'
import { DataList, type Column } from '../app/DataList'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { Moment, PageHead, State } from '../app/parts'
import { may } from '../app/permissions'
import { useSession } from '../app/session'
import { changePolicy, DEVICES, resumeDevice, retireDevice, suspendDevice, useDevices, type Device } from './api'
import { InviteDialog } from './InviteDialog'
import { TrustDialog } from './TrustDialog'

export default function DevicesPage() {
  const { t, tCode } = useI18n()
  const { can } = useSession()
  const list = useDevices()
  const [inviting, setInviting] = useState(false)
  const [trusting, setTrusting] = useState<Device>()

  const columns: Column<Device>[] = [
    { title: t('devices.name'), render: (device) => <strong>{device.name}</strong> },
    { title: t('devices.owner'), render: (device) => device.person.display_name },
    { title: t('devices.state_label'), render: (device) => <State of="devices.state" value={device.state} /> },
    {
      title: t('devices.key_storage_label'),
      render: (device) => tCode('devices.key_storage', device.key_storage),
    },
    { title: t('devices.system'), render: (device) => device.operating_system || '–', wide: true },
    { title: t('devices.enrolled'), render: (device) => <Moment at={device.enrolled_at} /> },
    { title: t('devices.last_knock'), render: (device) => <Moment at={device.last_knock_at} /> },
    { title: t('devices.names_address'), render: (device) => <AddressPolicy device={device} />, wide: true },
    { title: '', render: (device) => <DeviceActions device={device} onTrust={() => setTrusting(device)} /> },
  ]
  return (
    <>
      <PageHead title={t('devices.devices')} lead={t('devices.lead')}>
        {can(may.inviteDevice) ? (
          <Button type="primary" icon={<Icon name="plus" />} onClick={() => setInviting(true)}>
            {t('devices.invite')}
          </Button>
        ) : null}
      </PageHead>
      <DataList
        label={t('devices.devices')}
        list={list}
        columns={columns}
        rowKey={(device) => device.id}
        empty={t('devices.none')}
        search={(device) => [device.name, device.person.display_name, device.operating_system, tCode('devices.state', device.state)]}
      />
      {inviting ? <InviteDialog onClose={() => setInviting(false)} /> : null}
      {trusting ? <TrustDialog device={trusting} onClose={() => setTrusting(undefined)} /> : null}
    </>
  )
}

/** Whether every knock must name its address. A loose clock, which only the API sets, keeps it on. */
function AddressPolicy({ device }: { device: Device }) {
  const { t, tProblem } = useI18n()
  const { can } = useSession()
  const { modal, message } = AntApp.useApp()
  const act = useAct(changePolicy, { rereads: [DEVICES] })
  const change = (must: boolean) =>
    act
      .mutateAsync({ id: device.id, allow_header_address: !must })
      .catch((error: unknown) => void message.error(tProblem(error)))
  const asked = (must: boolean) =>
    must
      ? modal.confirm({
          title: t('devices.names_address_title', { name: device.name }),
          content: t('devices.names_address_text'),
          okText: t('devices.names_address_confirm'),
          cancelText: t('app.cancel'),
          onOk: () => change(true),
        })
      : void change(false)
  return (
    <Switch
      size="small"
      checked={!device.allow_header_address}
      loading={act.isPending}
      disabled={!can(may.suspendDevice) || device.state === 'retired' || device.loose_clock}
      aria-label={t('devices.names_address_of', { name: device.name })}
      onChange={asked}
    />
  )
}

function DeviceActions({ device, onTrust }: { device: Device; onTrust: () => void }) {
  const { t, tProblem } = useI18n()
  const { can } = useSession()
  const { modal, message } = AntApp.useApp()
  const suspend = useAct(suspendDevice, { rereads: [DEVICES] })
  const resume = useAct(resumeDevice, { rereads: [DEVICES] })
  const retire = useAct(retireDevice, { rereads: [DEVICES] })
  const say = (error: unknown) => void message.error(tProblem(error))

  const confirm = (what: 'suspend' | 'retire', act: (id: string) => Promise<unknown>) =>
    modal.confirm({
      title: t(what === 'suspend' ? 'devices.suspend_title' : 'devices.retire_title', { name: device.name }),
      content: t(what === 'suspend' ? 'devices.suspend_text' : 'devices.retire_text'),
      okText: t(what === 'suspend' ? 'devices.suspend' : 'devices.retire'),
      okButtonProps: { danger: true },
      cancelText: t('app.cancel'),
      onOk: () => act(device.id).catch(say),
    })

  return (
    <span className="row">
      {device.state === 'pending' && can(may.trustDevice) ? (
        <Button size="small" type="primary" onClick={onTrust}>
          {t('devices.trust')}
        </Button>
      ) : null}
      {device.state === 'trusted' && can(may.suspendDevice) ? (
        <Button size="small" onClick={() => confirm('suspend', suspend.mutateAsync)}>
          {t('devices.suspend')}
        </Button>
      ) : null}
      {device.state === 'suspended' && can(may.resumeDevice) ? (
        <Button size="small" loading={resume.isPending} onClick={() => resume.mutate(device.id, { onError: say })}>
          {t('devices.resume')}
        </Button>
      ) : null}
      {device.state !== 'retired' && can(may.retireDevice) ? (
        <Button size="small" danger onClick={() => confirm('retire', retire.mutateAsync)}>
          {t('devices.retire')}
        </Button>
      ) : null}
    </span>
  )
}
