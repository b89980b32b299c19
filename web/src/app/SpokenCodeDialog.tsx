/**
 * Somebody reads a code aloud from what they alone see, and it is typed here. The code that the server knows is not
 * shown, so that nobody confirms without having heard it.
 */
import { Form, Input, Modal } from 'antd'
import type { ReactNode } from 'react'

import { useI18n } from './i18n/i18n'
import { Facts, Refusal } from './parts'

interface Words {
  title: string
  confirm: string
  steps: [call: string, read: string, type: string]
  code: string
  codeNeeded: string
}

interface Props {
  words: Words
  facts: [string, ReactNode][]
  act: { isPending: boolean; error: unknown }
  onCode: (code: string) => void
  onClose: () => void
}

export function SpokenCodeDialog({ words, facts, act, onCode, onClose }: Props) {
  const { t } = useI18n()
  const [form] = Form.useForm<{ code: string }>()
  return (
    <Modal
      open
      title={words.title}
      okText={words.confirm}
      okButtonProps={{ loading: act.isPending }}
      cancelText={t('app.cancel')}
      onCancel={onClose}
      onOk={() => form.submit()}
      mask={{ closable: false }}
    >
      <Facts rows={facts} />
      <ol className="steps">
        {words.steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ol>
      <Form form={form} layout="vertical" onFinish={({ code }) => onCode(code.trim())}>
        <Form.Item name="code" label={words.code} rules={[{ required: true, whitespace: true, message: words.codeNeeded }]}>
          <Input className="code" autoComplete="off" autoCapitalize="characters" spellCheck={false} maxLength={40} autoFocus />
        </Form.Item>
      </Form>
      <Refusal error={act.error} />
    </Modal>
  )
}
