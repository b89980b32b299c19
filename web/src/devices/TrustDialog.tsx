/**
 * Trust compares a short code: the engineer reads it aloud from the device's own screen, and it is typed here. The code
 * the server knows is not shown, so that nobody can trust a device without having heard it.
 */
import { Form, Input, Modal } from 'antd'

import { useAct } from '../app/data'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Facts, Refusal } from '../app/parts'
import { DEVICES, trustDevice, type Device } from './api'

export function TrustDialog({ device, onClose }: { device: Device; onClose: () => void }) {
  const { t, tCode } = useI18n()
  const format = useFormat()
  const [form] = Form.useForm<{ short_code: string }>()
  const act = useAct(trustDevice, { rereads: [DEVICES], done: onClose })
  return (
    <Modal
      open
      title={t('devices.trust_title', { name: device.name })}
      okText={t('devices.trust_confirm')}
      okButtonProps={{ loading: act.isPending }}
      cancelText={t('app.cancel')}
      onCancel={onClose}
      onOk={() => form.submit()}
      mask={{ closable: false }}
    >
      <Facts
        rows={[
          [t('devices.owner'), device.person.display_name],
          [t('devices.enrolled'), format.moment(device.enrolled_at)],
          [t('devices.key_storage_label'), tCode('devices.key_storage', device.key_storage)],
        ]}
      />
      <ol className="steps">
        <li>{t('devices.trust_step_call', { name: device.person.display_name })}</li>
        <li>{t('devices.trust_step_read')}</li>
        <li>{t('devices.trust_step_type')}</li>
      </ol>
      <Form form={form} layout="vertical" onFinish={({ short_code }) => act.mutate({ id: device.id, short_code: short_code.trim() })}>
        <Form.Item
          name="short_code"
          label={t('devices.short_code')}
          rules={[{ required: true, whitespace: true, message: t('devices.short_code_needed') }]}
        >
          <Input className="code" autoComplete="off" autoCapitalize="characters" spellCheck={false} maxLength={40} autoFocus />
        </Form.Item>
      </Form>
      <Refusal error={act.error} />
    </Modal>
  )
}
