/** Replay of a long recording: the browser holds the chunk around the moment, and a jump fetches another. */
import { Button, Select, Slider, Switch } from 'antd'
import { useMemo, useState } from 'react'

import { Loading } from '../app/DataList'
import { useFormat } from '../app/format'
import { useI18n } from '../app/i18n/i18n'
import { Refusal } from '../app/parts'
import { useChunk, useEvents, useTimeline, type Times } from './api'
import { ChunkPlayer } from './ChunkPlayer'
import { clockOf } from './clock'
import { EventPanel } from './EventPanel'

const IDLE_LIMIT_MS = 2_000
const SPEEDS = [0.5, 1, 2, 4, 8, 16]

/** The last chunk that begins at or before this moment. */
export function chunkAt(chunks: readonly number[], raw: number): number {
  let low = 0
  let high = chunks.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((chunks[middle] ?? Infinity) <= raw) low = middle
    else high = middle - 1
  }
  return low
}

export function LongReplay({ id }: { id: string }) {
  const { t } = useI18n()
  const times = useTimeline(id)
  if (times.error) return <Refusal error={times.error} />
  if (!times.data || times.data.state === 'preparing') {
    return (
      <>
        <Loading />
        <p className="muted">{t('recordings.preparing')}</p>
      </>
    )
  }
  if (times.data.chunks.length === 0) return <p className="empty">{t('recordings.nothing_shown')}</p>
  return <Stage id={id} times={times.data} />
}

function Stage({ id, times }: { id: string; times: Times }) {
  const { t } = useI18n()
  const format = useFormat()
  const events = useEvents(id)
  const [moment, setMoment] = useState(0)
  const [from, setFrom] = useState(0)
  const [playing, setPlaying] = useState(false)
  const [skipIdle, setSkipIdle] = useState(true)
  const [speed, setSpeed] = useState(1)
  const limit = skipIdle ? IDLE_LIMIT_MS : Infinity
  const clock = useMemo(() => clockOf(times.silences as [number, number][], limit), [times, limit])
  const number = chunkAt(times.chunks, from)
  const chunk = useChunk(id, number)

  const jump = (raw: number) => {
    setMoment(raw)
    setFrom(raw)
  }
  const hold = (change: () => void) => {
    setFrom(moment)
    change()
  }
  const next = () => {
    const begins = times.chunks[number + 1]
    if (begins === undefined) setPlaying(false)
    else jump(begins)
  }
  return (
    <div className="theatre">
      <div>
        <Refusal error={chunk.error} />
        {chunk.data ? (
          <ChunkPlayer
            chunk={chunk.data}
            from={from}
            idleLimit={limit}
            speed={speed}
            playing={playing}
            label={t('recordings.player')}
            onMoment={setMoment}
            onEnded={next}
          />
        ) : (
          <Loading />
        )}
        <Slider
          min={0}
          max={clock.toShown(times.duration_ms)}
          value={clock.toShown(moment)}
          onChange={(shown) => setMoment(clock.toRaw(shown))}
          onChangeComplete={(shown) => jump(clock.toRaw(shown))}
          tooltip={{ formatter: (shown) => format.clock(new Date(times.created_at_ms + clock.toRaw(shown ?? 0))) }}
          ariaLabelForHandle={t('recordings.moment')}
        />
        <div className="player-controls">
          <Button size="small" onClick={() => hold(() => setPlaying(!playing))}>
            {playing ? t('recordings.pause') : t('recordings.play')}
          </Button>
          <span className="clock">
            <span className="muted">{t('recordings.happened_at')}</span>{' '}
            <strong data-raw-ms={Math.round(moment)}>{format.clock(new Date(times.created_at_ms + moment))}</strong>
          </span>
          <label>
            <Switch size="small" checked={skipIdle} onChange={(on) => hold(() => setSkipIdle(on))} />
            <span>{t('recordings.skip_idle')}</span>
          </label>
          <label>
            <span>{t('recordings.speed')}</span>
            <Select
              size="small"
              value={speed}
              onChange={(value) => hold(() => setSpeed(value))}
              options={SPEEDS.map((value) => ({ value, label: `${format.number(value)}×` }))}
            />
          </label>
        </div>
      </div>
      <EventPanel events={events.data?.items ?? []} error={events.error} began={times.created_at_ms} onSeek={jump} />
    </div>
  )
}
