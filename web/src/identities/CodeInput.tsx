import { Form, Input } from 'antd'

import { useI18n } from '../app/i18n/i18n'

/** The six digits of the authenticator. */
export function CodeInput() {
  const { t } = useI18n()
  return (
    <Form.Item
      name="totp"
      label={t('identities.totp')}
      rules={[{ required: true, pattern: /^\s*\d{6}\s*$/, message: t('identities.totp_needed') }]}
    >
      <Input className="code" inputMode="numeric" autoComplete="one-time-code" maxLength={8} />
    </Form.Item>
  )
}
