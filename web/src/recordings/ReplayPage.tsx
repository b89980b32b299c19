/** A recording: is it whole, what was done and what was stopped, and the pictures of it. */
import { Select, Switch } from 'antd'
import { useEffect, useMemo, useRef, useState } from 'react'
import { Link, useParams } from 'react-router'

import { Loading } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Icon } from '../app/icons'
import { nameOf } from '../app/names'
import { PageHead, Refusal } from '../app/parts'
import { useOneSession } from '../sessions/api'
import { useCast, useEvents, useRecording, type Recording } from './api'
import { EventPanel, isBlocked } from './EventPanel'
import { Keeping } from './Keeping'
import { LongReplay } from './LongReplay'
import { Player, type PlayerHandle } from './Player'
import { shorten, type Cast, type Timeline } from './timeline'
import { Verification } from './Verification'

const IDLE_LIMIT_MS = 2_000
const MOST_MARKERS = 200
/** Above this a recording is not brought into the browser as a whole. */
const LONG_BYTES = 4_000_000
const SPEEDS = [0.5, 1, 2, 4, 8, 16]

export default function ReplayPage() {
  const { t } = useI18n()
  const id = useParams().id ?? ''
  const recording = useRecording(id)
  const session = useOneSession(recording.data?.session_id)
  const who = session.data
  return (
    <>
      <Link to={recording.data ? `/sessions/${recording.data.session_id}` : '/sessions'} className="back">
        <Icon name="back" />
        {t('recordings.to_session')}
      </Link>
      <PageHead
        title={who ? t('recordings.of', { person: nameOf(who.person), target: nameOf(who.target) }) : t('recordings.recording')}
        lead={t('recordings.audited')}
      />
      <Refusal error={recording.error ?? session.error} />
      {recording.isLoading ? <Loading /> : null}
      {recording.data ? (
        <>
          <Verification recording={recording.data} />
          {recording.data.verification.state === 'purged' ? null : recording.data.bytes > LONG_BYTES ? (
            <LongReplay id={recording.data.id} />
          ) : (
            <Stage recording={recording.data} startedAt={who?.started_at ?? undefined} />
          )}
          <Keeping id={recording.data.id} />
        </>
      ) : null}
    </>
  )
}

function Stage({ recording, startedAt }: { recording: Recording; startedAt: string | undefined }) {
  const { t } = useI18n()
  const cast = useCast(recording.id)
  if (cast.isLoading) return <Loading />
  if (!cast.data) return <Refusal error={cast.error} />
  if (cast.data.events.length === 0) return <p className="empty">{t('recordings.nothing_shown')}</p>
  const began = cast.data.startedAt ?? (startedAt ? Date.parse(startedAt) : undefined)
  return <Theatre id={recording.id} cast={cast.data} began={began} />
}

function Theatre({ id, cast, began }: { id: string; cast: Cast; began: number | undefined }) {
  const { t } = useI18n()
  const format = useFormat()
  const events = useEvents(id)
  const [skipIdle, setSkipIdle] = useState(true)
  const [speed, setSpeed] = useState(1)
  const player = useRef<PlayerHandle>(null)
  const timeline = useMemo(() => shorten(cast.events, skipIdle ? IDLE_LIMIT_MS : Infinity), [cast, skipIdle])
  const items = events.data?.items
  const markers = useMemo(
    () =>
      (items ?? [])
        .filter(isBlocked)
        .slice(0, MOST_MARKERS)
        .map<[number, string]>((event) => [timeline.toShown(event.at_ms) / 1000, event.text]),
    [items, timeline],
  )
  // The markers are part of the player; it is made once they are known, or cannot be had.
  if (events.isLoading) return <Loading />
  return (
    <div className="theatre">
      <div>
        <Player
          ref={player}
          cast={cast}
          timeline={timeline}
          markers={markers}
          speed={speed}
          label={t('recordings.player')}
        />
        <div className="player-controls">
          <Clock player={player} timeline={timeline} began={began} />
          <label>
            <Switch size="small" checked={skipIdle} onChange={setSkipIdle} />
            <span>{t('recordings.skip_idle')}</span>
          </label>
          <label>
            <span>{t('recordings.speed')}</span>
            <Select
              size="small"
              value={speed}
              onChange={setSpeed}
              options={SPEEDS.map((value) => ({ value, label: `${format.number(value)}×` }))}
            />
          </label>
        </div>
        {timeline.skipped > 0 ? (
          <p className="muted">
            {t('recordings.skipped', {
              skipped: format.duration(timeline.skipped / 1000),
              length: format.duration(timeline.toRaw(timeline.length) / 1000),
            })}
          </p>
        ) : null}
      </div>
      <EventPanel
        events={items ?? []}
        error={events.error}
        began={began}
        onSeek={(raw) => player.current?.seek(timeline.toShown(raw))}
      />
    </div>
  )
}

interface ClockProps {
  player: React.RefObject<PlayerHandle | null>
  timeline: Timeline
  began: number | undefined
}

/** The time of day at which what is shown happened. */
function Clock({ player, timeline, began }: ClockProps) {
  const { t } = useI18n()
  const format = useFormat()
  const [raw, setRaw] = useState(0)
  useEffect(() => {
    const timer = window.setInterval(() => {
      if (player.current) setRaw(timeline.toRaw(player.current.now()))
    }, 250)
    return () => window.clearInterval(timer)
  }, [player, timeline])
  return (
    <span className="clock">
      <span className="muted">{t('recordings.happened_at')}</span>{' '}
      <strong data-raw-ms={Math.round(raw)}>
        {began === undefined ? format.duration(raw / 1000) : format.clock(new Date(began + raw))}
      </strong>
    </span>
  )
}
