/** Plays one chunk of a recording: the screen at its beginning, then what follows. Tells where it is and when it ends. */
import { create, type Player as AsciinemaPlayer } from 'asciinema-player'
import 'asciinema-player/dist/bundle/asciinema-player.css'
import { useEffect, useRef } from 'react'

import type { Chunk } from './api'
import { FONT, inMilliseconds, inSeconds } from './Player'
import { shorten, type Output } from './timeline'

interface Props {
  chunk: Chunk
  /** Raw time at which to begin. */
  from: number
  idleLimit: number
  speed: number
  playing: boolean
  label: string
  onMoment: (raw: number) => void
  onEnded: () => void
}

export function ChunkPlayer({ chunk, from, idleLimit, speed, playing, label, onMoment, onEnded }: Props) {
  const frame = useRef<HTMLDivElement>(null)
  const told = useRef({ onMoment, onEnded })
  useEffect(() => {
    told.current = { onMoment, onEnded }
  })

  useEffect(() => {
    if (!frame.current) return
    const later = chunk.events.map<Output>(([at, code, data]) => [at - chunk.at_ms, code, data])
    const timeline = shorten([[0, 'o', chunk.screen], ...later], idleLimit)
    const begin = inSeconds(timeline.toShown(from - chunk.at_ms))
    const made: AsciinemaPlayer = create(
      { data: [], parser: () => ({ cols: chunk.columns, rows: chunk.rows, events: timeline.events }) },
      frame.current,
      {
        preload: true,
        controls: false,
        fit: 'width',
        speed,
        startAt: begin,
        autoPlay: playing,
        poster: `npt:${begin}`,
        terminalFontFamily: FONT,
      },
    )
    if (playing) made.addEventListener('ended', () => told.current.onEnded())
    const timer = window.setInterval(() => {
      if (playing) told.current.onMoment(chunk.at_ms + timeline.toRaw(inMilliseconds(made.getCurrentTime())))
    }, 250)
    return () => {
      window.clearInterval(timer)
      made.dispose()
    }
  }, [chunk, from, idleLimit, speed, playing])

  return <div className="player" ref={frame} role="region" aria-label={label} />
}
