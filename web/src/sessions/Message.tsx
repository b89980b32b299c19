/** One line into the engineer's terminal. */
import { App as AntApp, Button, Input } from 'antd'
import { useState, type FormEvent } from 'react'

import { useAct } from '../app/data'
import { useI18n } from '../app/i18n/i18n'
import { Refusal } from '../app/parts'
import { messageSession, type Session } from './api'

const LONGEST_MESSAGE = 500

export function Message({ session }: { session: Session }) {
  const { t } = useI18n()
  const { message } = AntApp.useApp()
  const [text, setText] = useState('')
  const send = useAct(messageSession, {
    rereads: [],
    done: () => {
      setText('')
      message.success(t('sessions.message_sent'))
    },
  })
  if (session.state !== 'live') return null
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (text.trim()) send.mutate({ id: session.id, text: text.trim() })
  }
  return (
    <>
      <form className="row message" onSubmit={submit}>
        <Input
          aria-label={t('sessions.message')}
          placeholder={t('sessions.message')}
          value={text}
          maxLength={LONGEST_MESSAGE}
          onChange={(event) => setText(event.target.value)}
        />
        <Button htmlType="submit" loading={send.isPending} disabled={!text.trim()}>
          {t('sessions.message_send')}
        </Button>
      </form>
      <Refusal error={send.error} />
    </>
  )
}
