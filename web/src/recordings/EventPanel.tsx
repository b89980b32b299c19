/** The commands of a recording, with what was blocked marked by word, picture and colour; a click goes there. */
import { Input, Segmented } from 'antd'
import { useState } from 'react'

import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Chip, Refusal } from '../app/parts'
import type { RecordingEvent } from './api'

type View = 'all' | 'blocked'
/** So many lines are drawn at once; searching finds the others. */
const MOST_SHOWN = 500

/** What the broker did not let through. */
const STOPPED = new Set(['blocked', 'refused'])
const TYPED = new Set(['exec', 'command', 'entered'])

export const isBlocked = (event: RecordingEvent): boolean => STOPPED.has(event.kind)

interface Props {
  events: RecordingEvent[]
  error: unknown
  began: number | undefined
  onSeek: (rawMs: number) => void
}

export function EventPanel({ events, error, began, onSeek }: Props) {
  const { t } = useI18n()
  const format = useFormat()
  const [view, setView] = useState<View>('all')
  const [words, setWords] = useState('')
  const blocked = events.filter(isBlocked)
  const wanted = words.trim().toLowerCase()
  const found = (view === 'blocked' ? blocked : events).filter((event) => event.text.toLowerCase().includes(wanted))

  return (
    <aside className="events" aria-label={t('recordings.events')}>
      <h2>{t('recordings.events')}</h2>
      <Refusal error={error} />
      <div className="row">
        <Segmented<View>
          size="small"
          value={view}
          onChange={setView}
          options={[
            { value: 'all', label: t('recordings.all', { count: events.length }) },
            { value: 'blocked', label: t('recordings.blocked_only', { count: blocked.length }) },
          ]}
        />
        <Input
          size="small"
          allowClear
          aria-label={t('recordings.search')}
          placeholder={t('recordings.search')}
          value={words}
          onChange={(event) => setWords(event.target.value)}
        />
      </div>
      {found.length === 0 && !error ? <p className="empty">{t('recordings.no_events')}</p> : null}
      <ol>
        {found.slice(0, MOST_SHOWN).map((event, index) => (
          <li key={`${event.at_ms}-${index}`}>
            <button type="button" className={isBlocked(event) ? 'blocked' : undefined} onClick={() => onSeek(event.at_ms)}>
              <span className="event-head">
                <time>{began === undefined ? format.duration(event.at_ms / 1000) : format.clock(new Date(began + event.at_ms))}</time>
                <Kind event={event} />
              </span>
              <code>{event.text || '–'}</code>
              {event.rule_id ? <span className="muted">{t('recordings.rule', { rule: event.rule_id })}</span> : null}
            </button>
          </li>
        ))}
      </ol>
      {found.length > MOST_SHOWN ? <p className="muted">{t('recordings.more_by_search', { count: MOST_SHOWN })}</p> : null}
    </aside>
  )
}

function Kind({ event }: { event: RecordingEvent }) {
  const { tCode } = useI18n()
  if (isBlocked(event)) {
    return (
      <Chip tone="bad" icon="blocked">
        {tCode('recordings.kind', event.kind)}
      </Chip>
    )
  }
  return TYPED.has(event.kind) ? null : <Chip tone="quiet">{tCode('recordings.kind', event.kind)}</Chip>
}
