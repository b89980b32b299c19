/** The one-use activation link: the second factor is set up, a password chosen, and one code confirms both. */
import { useMutation, useQuery } from '@tanstack/react-query'
import { Button, Form, Input, QRCode } from 'antd'
import { useEffect, useState } from 'react'
import { Link } from 'react-router'

import { Loading } from '../app/DataList'
import { useI18n } from '../app/i18n/i18n'
import { HandOn, Refusal } from '../app/parts'
import { beginActivation, completeActivation } from './api'
import { CodeInput } from './CodeInput'
import { Door } from './Door'

const SHORTEST = 12

interface Fields {
  password: string
  again: string
  totp: string
}

export default function ActivationPage() {
  const { t } = useI18n()
  const [token] = useState(() => window.location.hash.slice(1))
  useEffect(() => {
    // The token leaves the address bar, so that neither the history nor a shared screen keeps it.
    window.history.replaceState(window.history.state, '', window.location.pathname)
  }, [])
  const offer = useQuery({
    queryKey: ['activation', token],
    queryFn: () => beginActivation(token),
    enabled: token !== '',
    staleTime: Infinity,
    gcTime: 0,
    retry: false,
    refetchOnWindowFocus: false,
  })
  const act = useMutation({ mutationFn: completeActivation })

  if (token === '') {
    return (
      <Door title={t('identities.activation')} lead={t('identities.activation_no_token')}>
        <Link to="/">{t('identities.to_sign_in')}</Link>
      </Door>
    )
  }
  if (act.isSuccess && act.data.confirmation_code) {
    return (
      <Door title={t('identities.activation_waits')} lead={t('identities.activation_waits_text')}>
        <HandOn label={t('identities.confirmation_code')} text={act.data.confirmation_code} />
        <p className="once">{t('app.once')}</p>
        <Link to="/" className="button-link">
          {t('identities.to_sign_in')}
        </Link>
      </Door>
    )
  }
  if (act.isSuccess) {
    return (
      <Door title={t('identities.activation_done')} lead={t('identities.activation_done_text')}>
        <Link to="/" className="button-link">
          {t('identities.to_sign_in')}
        </Link>
      </Door>
    )
  }
  if (!offer.data) {
    return (
      <Door title={t('identities.activation')}>{offer.error ? <Refusal error={offer.error} /> : <Loading />}</Door>
    )
  }
  const { username, display_name, totp_secret, totp_uri } = offer.data
  const grouped = totp_secret.replace(/(.{4})(?=.)/g, '$1 ')
  return (
    <Door title={t('identities.activation_of', { name: display_name })} lead={t('identities.activation_username', { username })}>
      <Form<Fields>
        layout="vertical"
        onFinish={({ password, totp }) => act.mutate({ token, password, totp: totp.trim() })}
      >
        <h2>{t('identities.step_authenticator')}</h2>
        <p className="hint">{t('identities.step_authenticator_text')}</p>
        <div className="qr" role="img" aria-label={t('identities.qr')}>
          <div aria-hidden="true">
            <QRCode type="svg" value={totp_uri} size={188} bordered={false} color="#000000" bgColor="#ffffff" />
          </div>
        </div>
        <HandOn label={t('identities.secret_by_hand')} text={grouped} />
        <h2>{t('identities.step_password')}</h2>
        <input type="text" name="username" autoComplete="username" value={username} readOnly hidden />
        <Form.Item
          name="password"
          label={t('identities.new_password')}
          extra={t('identities.password_rule', { length: SHORTEST })}
          rules={[{ required: true, min: SHORTEST, message: t('identities.password_rule', { length: SHORTEST }) }]}
        >
          <Input.Password autoComplete="new-password" maxLength={256} />
        </Form.Item>
        <Form.Item
          name="again"
          label={t('identities.password_again')}
          dependencies={['password']}
          rules={[
            ({ getFieldValue }) => ({
              validator: (_, value) =>
                value && value === getFieldValue('password')
                  ? Promise.resolve()
                  : Promise.reject(new Error(t('identities.passwords_differ'))),
            }),
          ]}
        >
          <Input.Password autoComplete="new-password" maxLength={256} />
        </Form.Item>
        <h2>{t('identities.step_confirm')}</h2>
        <CodeInput />
        <Refusal error={act.error} />
        <Button type="primary" htmlType="submit" block size="large" loading={act.isPending}>
          {t('identities.activate')}
        </Button>
      </Form>
    </Door>
  )
}
