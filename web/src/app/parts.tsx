/** The small parts that every page is made of. */
import { Alert, App as AntApp, Button } from 'antd'
import { useId, type ReactNode } from 'react'

import { useFormat } from './format'
import { useI18n } from './i18n/i18n'
import { Icon, type IconName } from './icons'

/** A page's heading with its main actions. */
export function PageHead({ title, lead, children }: { title: ReactNode; lead?: ReactNode; children?: ReactNode }) {
  return (
    <header className="page-head">
      <div>
        <h1>{title}</h1>
        {lead ? <p className="lead">{lead}</p> : null}
      </div>
      {children ? <div className="page-actions">{children}</div> : null}
    </header>
  )
}

export type Tone = 'good' | 'wait' | 'bad' | 'quiet' | 'live'

const TONES: Record<string, Tone> = {
  trusted: 'good', active: 'good', approved: 'good', verified: 'good', bound: 'good', sealed: 'good', in_use: 'good',
  live: 'live', open: 'live',
  pending: 'wait', submitted: 'wait', invited: 'wait', unconfirmed: 'wait', closing: 'wait', issued: 'wait', unchecked: 'wait',
  suspended: 'bad', denied: 'bad', revoked: 'bad', broken: 'bad', failed: 'bad', detached: 'bad', absent: 'wait',
  asked: 'wait', confirmed: 'bad',
} // prettier-ignore

export function Chip({ tone, icon, children }: { tone: Tone; icon?: IconName; children: ReactNode }) {
  return (
    <span className={`chip chip-${tone}`}>
      {icon ? <Icon name={icon} size={14} /> : null}
      {children}
    </span>
  )
}

/** A state in words; its colour only repeats the word. */
export function State({ of, value }: { of: string; value: string }) {
  const { tCode } = useI18n()
  return <Chip tone={TONES[value] ?? 'quiet'}>{tCode(of, value)}</Chip>
}

/** A moment in a table: it breaks between date and time, not within them. */
export function Moment({ at }: { at: string | null | undefined }) {
  const format = useFormat()
  return (
    <time className="moment" dateTime={at ?? undefined}>
      {format.moment(at)}
    </time>
  )
}

/** Facts in two columns: what, and how it is. */
export function Facts({ rows }: { rows: [label: string, value: ReactNode][] }) {
  return (
    <dl className="facts">
      {rows.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd>{value ?? '–'}</dd>
        </div>
      ))}
    </dl>
  )
}

/** A refusal, in words, where the person looks; nothing when there is none. */
export function Refusal({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t, tProblem } = useI18n()
  if (!error) return null
  const action = retry ? (
    <Button size="small" onClick={retry}>
      {t('app.retry')}
    </Button>
  ) : undefined
  return <Alert className="refusal" type="error" title={tProblem(error)} action={action} role="alert" />
}

/** A text to hand on: shown whole, copied by one button, saved as a file when it has a name. */
export function HandOn({ label, text, fileName }: { label: string; text: string; fileName?: string }) {
  const { t } = useI18n()
  const { message } = AntApp.useApp()
  const id = useId()
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
      message.success(t('app.copied'))
    } catch {
      message.warning(t('app.copy_failed'))
    }
  }
  const save = () => {
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([text + '\n'], { type: 'text/plain' }))
    link.download = fileName ?? 'text.txt'
    link.click()
    URL.revokeObjectURL(link.href)
  }
  return (
    <div className="hand-on">
      <label htmlFor={id}>{label}</label>
      <textarea id={id} readOnly value={text} rows={text.length > 120 ? 5 : 2} onFocus={(e) => e.target.select()} />
      <div className="row">
        <Button icon={<Icon name="copy" />} onClick={() => void copy()}>
          {t('app.copy')}
        </Button>
        {fileName ? (
          <Button icon={<Icon name="download" />} onClick={save}>
            {t('app.download')}
          </Button>
        ) : null}
      </div>
    </div>
  )
}
