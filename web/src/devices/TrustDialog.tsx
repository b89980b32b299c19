/** Trust compares the short code that the engineer's device shows. */
import { useAct } from '../app/data'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { SpokenCodeDialog } from '../app/SpokenCodeDialog'
import { DEVICES, trustDevice, type Device } from './api'

export function TrustDialog({ device, onClose }: { device: Device; onClose: () => void }) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const act = useAct(trustDevice, { rereads: [DEVICES], done: onClose })
  return (
    <SpokenCodeDialog
      words={{
        title: t('devices.trust_title', { name: device.name }),
        confirm: t('devices.trust_confirm'),
        steps: [t('devices.trust_step_call', { name: device.person.display_name }), t('devices.trust_step_read'), t('devices.trust_step_type')],
        code: t('devices.short_code'),
        codeNeeded: t('devices.short_code_needed'),
      }}
      facts={[
        [t('devices.owner'), device.person.display_name],
        [t('devices.enrolled'), format.moment(device.enrolled_at)],
        [t('devices.key_storage_label'), tCode('devices.key_storage', device.key_storage)],
      ]}
      act={act}
      onCode={(code) => act.mutate({ id: device.id, short_code: code })}
      onClose={onClose}
    />
  )
}
