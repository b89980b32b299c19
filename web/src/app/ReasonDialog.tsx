/** Asks for the reason of an act that cuts somebody off, and names its object. */
import { Form, Input, Modal } from 'antd'

import { useI18n } from './i18n/i18n'
import { Refusal } from './parts'

interface Props {
  open: boolean
  title: string
  text: string
  action: string
  busy: boolean
  error: unknown
  /** The longest reason the server takes. */
  longest?: number
  /** What stands there at first. */
  initial?: string
  /** False for an act that harms nothing. */
  danger?: boolean
  onCancel: () => void
  onConfirm: (reason: string) => void
}

export function ReasonDialog({ open, title, text, action, busy, error, longest = 500, initial = '', danger = true, onCancel, onConfirm }: Props) {
  const { t } = useI18n()
  const [form] = Form.useForm<{ reason: string }>()
  return (
    <Modal
      open={open}
      title={title}
      okText={action}
      okButtonProps={{ danger, loading: busy }}
      cancelText={t('app.cancel')}
      onCancel={onCancel}
      onOk={() => form.submit()}
      destroyOnHidden
    >
      <p>{text}</p>
      <Form form={form} layout="vertical" preserve={false} onFinish={({ reason }) => onConfirm(reason.trim())}>
        <Form.Item name="reason" initialValue={initial} label={t('app.reason')} rules={[{ required: true, whitespace: true, message: t('app.reason_needed') }]}>
          <Input.TextArea rows={2} maxLength={longest} autoFocus />
        </Form.Item>
      </Form>
      <Refusal error={error} />
    </Modal>
  )
}
