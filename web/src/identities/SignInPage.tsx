/** Sign-in with both factors at once; it stands in place of whatever page was asked for. */
import { useMutation } from '@tanstack/react-query'
import { Alert, Button, Form, Input } from 'antd'

import { useI18n } from '../app/i18n/i18n'
import { Refusal } from '../app/parts'
import { useSession } from '../app/session'
import { signIn } from './api'
import { CodeInput } from './CodeInput'
import { Door } from './Door'

interface Fields {
  username: string
  password: string
  totp: string
}

export function SignInPage() {
  const { t } = useI18n()
  const { begin, expired } = useSession()
  const [form] = Form.useForm<Fields>()
  const act = useMutation({
    mutationFn: signIn,
    onSuccess: begin,
    onError: () => form.resetFields(['totp']),
  })
  return (
    <Door title={t('identities.sign_in')} lead={t('identities.sign_in_at', { host: window.location.host })}>
      {expired && !act.error ? <Alert className="refusal" type="info" title={t('identities.expired')} /> : null}
      <Refusal error={act.error} />
      <Form<Fields>
        form={form}
        layout="vertical"
        onFinish={(fields) => act.mutate({ ...fields, username: fields.username.trim(), totp: fields.totp.trim() })}
      >
        <Form.Item name="username" label={t('identities.username')} rules={[{ required: true, message: t('identities.username_needed') }]}>
          <Input autoComplete="username" autoCapitalize="none" spellCheck={false} maxLength={64} autoFocus />
        </Form.Item>
        <Form.Item name="password" label={t('identities.password')} rules={[{ required: true, message: t('identities.password_needed') }]}>
          <Input.Password autoComplete="current-password" maxLength={256} />
        </Form.Item>
        <CodeInput />
        <Button type="primary" htmlType="submit" block size="large" loading={act.isPending}>
          {t('identities.sign_in')}
        </Button>
      </Form>
      <p className="hint">{t('identities.sign_in_help')}</p>
    </Door>
  )
}
