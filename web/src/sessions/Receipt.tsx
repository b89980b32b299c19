/** What the session's device signed when it was over, and the line itself: whoever keeps it can check the recording. */
import { useI18n } from '../app/i18n/i18n'
import { Chip, HandOn, Refusal } from '../app/parts'
import { useReceipt, type Session } from './api'

const TONES = { received: 'good', refused: 'bad', missing: 'bad', awaited: 'quiet' } as const

export function ReceiptState({ session }: { session: Session }) {
  const { t, tCode } = useI18n()
  const receipt = useReceipt(session).data
  if (session.state !== 'closed') return t('sessions.receipt_after_end')
  if (!receipt) return '–'
  return (
    <>
      <Chip tone={TONES[receipt.state]}>{tCode('sessions.receipt_state', receipt.state)}</Chip>
      {receipt.refusal ? <span className="muted"> {tCode('sessions.receipt_refusal', receipt.refusal)}</span> : null}
    </>
  )
}

export function ReceiptLine({ session }: { session: Session }) {
  const { t } = useI18n()
  const { data, error } = useReceipt(session)
  return (
    <>
      <Refusal error={error} />
      {data?.receipt ? <HandOn label={t('sessions.receipt_line')} text={data.receipt} fileName={`${session.id}.receipt`} /> : null}
    </>
  )
}
